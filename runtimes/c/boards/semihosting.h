/* Calls of the machine that emulates or debugs the board: files, output, and the end.
 *
 * Arm, Semihosting for AArch32 and AArch64: the number of the call in r0, the place of its arguments
 * in r1, and a breakpoint that the other side knows. */
#include <stdint.h>

enum {
    HOST_OPEN = 0x01,
    HOST_CLOSE = 0x02,
    HOST_WRITE = 0x05,
    HOST_READ = 0x06,
    HOST_EXIT = 0x20
};
enum { HOST_READ_BYTES = 1, HOST_WRITE_BYTES = 5 }; /* as fopen's "rb" and "wb" */

static inline int host_call(int what, const void *arguments)
{
    register int number __asm__("r0") = what;
    register const void *given __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(number) : "r"(given) : "memory");
    return number;
}

/* End the emulation with an exit code. */
static inline void host_exit(int code)
{
    const uint32_t arguments[2] = {0x20026, (uint32_t)code}; /* the application came to its end */
    for (;;)
        host_call(HOST_EXIT, arguments);
}

/* Open a file, or the console if it is called ":tt"; -1 if that fails. */
static inline int host_open(const char *name, int mode)
{
    uint32_t length = 0;
    while (name[length])
        length++;
    const uint32_t arguments[3] = {(uint32_t)(uintptr_t)name, (uint32_t)mode, length};
    return host_call(HOST_OPEN, arguments);
}

/* Read or write a whole piece of memory; how many bytes are missing. */
static inline int host_move(int what, int file, const void *memory, uint32_t bytes)
{
    const uint32_t arguments[3] = {(uint32_t)file, (uint32_t)(uintptr_t)memory, bytes};
    return host_call(what, arguments);
}

static inline void host_close(int file)
{
    const uint32_t arguments[1] = {(uint32_t)file};
    host_call(HOST_CLOSE, arguments);
}

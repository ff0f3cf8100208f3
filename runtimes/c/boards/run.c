/* Answers one image on a board, and counts what that takes.
 *
 * Reads the image from the host's file `input`, writes the answer to `output`, and to `figures` four
 * 32-bit numbers: the bytes of stack, the ticks of the timer for one run (low and high half), and
 * those for CALIBRATION instructions. Under qemu's -icount a tick is so many instructions, always.
 *
 * Compiled with the net's header included, -DNET_RUN=lenet_run, -DINPUT_BYTES=3072 and
 * -DOUTPUT_FLOATS=10, and with -DWEIGHTS="file" where the weights lie in a file of their own: that
 * is then linked in. */
#include <stdint.h>

#include "semihosting.h"

#ifdef WEIGHTS
__asm__(".section .weights, \"a\"\n"
        ".balign 64\n"
        "weights: .incbin \"" WEIGHTS "\"\n"
        ".text\n");
extern const unsigned char weights[];
#define NET_CALL() NET_RUN(weights, (const void *)input, outputs)
#else
#define NET_CALL() NET_RUN((const void *)input, outputs)
#endif

/* The timer that every Cortex-M has. It counts down, and turns over behind 0. */
#define TIMER_CONTROL (*(volatile uint32_t *)0xe000e010)
#define TIMER_RELOAD (*(volatile uint32_t *)0xe000e014)
#define TIMER_VALUE (*(volatile uint32_t *)0xe000e018)
enum { TIMER_ON = 7, TURN = 1 << 24 }; /* by the core's own clock, with an interrupt when it turns */
enum { CALIBRATION = 1 << 23, FAILED = 71 };
#define PAINT 0x5a5a5a5au

extern uint32_t stack_start[];

static uint8_t input[INPUT_BYTES] __attribute__((aligned(64)));
static float outputs[OUTPUT_FLOATS];
static volatile uint32_t turns;

void tick(void);

void tick(void)
{
    turns++;
}

static void start_timer(void)
{
    turns = 0;
    TIMER_RELOAD = TURN - 1;
    TIMER_VALUE = 0;
    TIMER_CONTROL = TIMER_ON;
}

/* Stop the timer and give its ticks since it was started. */
static uint64_t stop_timer(void)
{
    const uint32_t left = TIMER_VALUE;
    TIMER_CONTROL = 0;
    return (uint64_t)turns * TURN + (TURN - 1 - left);
}

static uint32_t ticks_of_calibration(void)
{
    uint32_t left = CALIBRATION / 2;
    start_timer();
    __asm__ volatile(".syntax unified\n"
                     ".balign 4\n"
                     "1: subs %0, #1\n"
                     "bne 1b\n"
                     : "+l"(left)
                     :
                     : "cc");
    return (uint32_t)stop_timer();
}

static uint64_t ticks_of_run(void)
{
    start_timer();
    NET_CALL();
    return stop_timer();
}

/* Paint all the stack that is free, and look how far it was used: no interrupt comes meanwhile. */
static uint32_t __attribute__((noinline)) stack_of_run(void)
{
    volatile uint32_t *top, *at;
    __asm__ volatile("mov %0, sp" : "=r"(top));
    for (at = stack_start; at < top; at++)
        *at = PAINT;
    NET_CALL();
    for (at = stack_start; at < top && *at == PAINT;)
        at++;
    return (uint32_t)(top - at) * 4;
}

static void move(int what, const char *name, int mode, const void *memory, uint32_t bytes)
{
    const int file = host_open(name, mode);
    if (file < 0 || host_move(what, file, memory, bytes))
        host_exit(FAILED);
    host_close(file);
}

int main(void)
{
    move(HOST_READ, "input", HOST_READ_BYTES, input, sizeof input);
    const uint32_t stack = stack_of_run();
    const uint64_t ticks = ticks_of_run();
    const uint32_t figures[4] = {stack, (uint32_t)ticks, (uint32_t)(ticks >> 32),
                                 ticks_of_calibration()};
    move(HOST_WRITE, "output", HOST_WRITE_BYTES, outputs, sizeof outputs);
    move(HOST_WRITE, "figures", HOST_WRITE_BYTES, figures, sizeof figures);
    return 0;
}

/* The first instructions of a Cortex-M, from reset to main, and its vector table. */
#include <stdint.h>

#include "semihosting.h"

int main(void);
void reset(void);
void tick(void);
void fault(void);

/* Places that the linker script names. */
extern uint32_t data_start[], data_end[], bss_start[], board_bss_end[], stack_end[];
extern const uint32_t data_in_flash[];

#define ACCESS_CONTROL (*(volatile uint32_t *)0xe000ed88) /* of coprocessors: CPACR */
enum { FAULT = 70 };

/* What a program may do in place of this when the timer of run.c turns over. */
__attribute__((weak)) void tick(void) {}

void fault(void)
{
    host_exit(FAULT);
}

__attribute__((noreturn)) void reset(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    ACCESS_CONTROL |= 0xfu << 20; /* the FPU, and vectors */
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
    const uint32_t *from = data_in_flash;
    for (uint32_t *to = data_start; to < data_end;)
        *to++ = *from++;
    for (uint32_t *to = bss_start; to < board_bss_end;)
        *to++ = 0;
    host_exit(main());
    __builtin_unreachable();
}

/* Arm, Armv6-M to Armv8-M: the stack pointer, then the exceptions by number from 1. */
__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_end, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
    (void *)fault, (void *)fault, 0, 0, 0, (void *)fault, (void *)fault, 0, (void *)fault,
    (void *)tick,
};

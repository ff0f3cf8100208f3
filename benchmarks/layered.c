/* The layers of a generated net, each timed: NET is its .c file, LAYERS how many it has. */
#define _POSIX_C_SOURCE 199309L
#include <stdint.h>
#include <time.h>

static int64_t stamps[LAYERS + 1];

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

#define EDGECNN_AFTER(number) stamps[number + 1] = now();
#include NET

/* Nanoseconds between the stamps of the last run. */
void layered_start(void) { stamps[0] = now(); }
void layered_read(int64_t *times)
{
    for (int layer = 0; layer < LAYERS; layer++)
        times[layer] = stamps[layer + 1] - stamps[layer];
}

/* A net's answers beside the golden ones: the first EXACT numbers to the bit, the others within a
 * tolerance, by the largest number of their image. Prints both distances; exits with 1 if one is too
 * large. Inputs, outputs and the arena are heap blocks of exactly their sizes, so that a sanitizer
 * sees every step beyond them, and hold no zeros at first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net.h"
#include "golden.h"

static float size_of(float number) { return number < 0 ? -number : number; }

/* The largest difference; infinite if something is no number. */
static float distance(const float *found, const float *wanted, int count)
{
    float worst = 0, largest = 1e-30f;
    for (int i = 0; i < count; i++) {
        const float off = size_of(found[i] - wanted[i]), size = size_of(wanted[i]);
        worst = off <= worst ? worst : off >= 0 ? off : 1e30f;
        largest = size > largest ? size : largest;
    }
    return worst / largest;
}

static int run(const float *image, float *found)
{
    float *input = (float *)malloc(INPUT * sizeof *input);
    float *output = (float *)malloc(OUTPUT * sizeof *output);
    void *arena = malloc(NET_ARENA_BYTES);
    const int given = input && output && arena;
    if (given) {
        memset(arena, 0x7f, NET_ARENA_BYTES);
        memset(output, 0x7f, OUTPUT * sizeof *output);
        memcpy(input, image, INPUT * sizeof *input);
        net_run_in(arena, input, output);
        memcpy(found, output, OUTPUT * sizeof *output);
    }
    free(arena);
    free(output);
    free(input);
    return given;
}

int main(void)
{
    static float found[OUTPUT];
    float bytes = 0, floats = 0;
    for (int i = 0; i < IMAGES; i++) {
        const float *wanted = answers + i * OUTPUT;
        if (!run(images + i * INPUT, found))
            return 2;
        const float one = distance(found, wanted, EXACT);
        const float other = distance(found + EXACT, wanted + EXACT, OUTPUT - EXACT);
        bytes = one <= bytes ? bytes : one;
        floats = other <= floats ? floats : other;
    }
    printf("%g %g\n", (double)bytes, (double)floats);
    return bytes <= 0 && floats <= tolerance ? 0 : 1;
}

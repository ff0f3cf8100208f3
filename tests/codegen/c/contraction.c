/* A product and a sum, beside the same with the product kept in memory: exits with 1 if a compiler makes
 * one rounding of the two. SUM is how the sum of a * b and c is written. */
#include "parts/common.h"

static volatile float memory;

/* Not inlined: the numbers are not known when it is compiled. */
ONCE float at_once(float a, float b, float c) { return SUM; }
ONCE float one_by_one(float a, float b, float c)
{
    memory = a * b;
    return memory + c;
}

int main(void)
{
    uint32_t state = 1;
    for (int i = 0; i < 1000; i++) {
        float number[3];
        for (int j = 0; j < 3; j++) {
            state = state * 1664525u + 1013904223u;
            number[j] = (float)(state >> 8);
        }
        const float sum = number[2] * -16777216.0f;
        if (at_once(number[0], number[1], sum) != one_by_one(number[0], number[1], sum))
            return 1;
    }
    return 0;
}

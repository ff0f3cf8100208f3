/* `scaled`, which needs no floats here, beside what it must give, over millions of pairs: every exponent
 * that a factor can have, ends, exact middles and what is next to them. Prints how many, and how many
 * of them were exact middles; exits with 1 at the first that differs. */
#define EDGECNN_NO_FLOATS
#include "parts/scaling.h"
#include <stdio.h>

static uint64_t state = 1;
static uint32_t chance(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

static long pairs, middles;

static int by_floats(int32_t sum, float factor, int low, int high)
{
    float value = (float)sum * factor;
    value = value > (float)low ? value : (float)low;
    value = value < (float)high ? value : (float)high;
    return round_even(value);
}

static int same(int64_t wide, float factor)
{
    static const int zeros[] = {0, 255, 128, 3};
    const int64_t least = wide < INT32_MAX ? wide : INT32_MAX;
    const int32_t sum = (int32_t)(least > INT32_MIN ? least : INT32_MIN);
    const int zero = zeros[chance() % 4];
    const float exact = (float)sum * factor;
    const float lower = (float)(int)(exact < 300 && exact > -300 ? exact : 0);
    const int found = scaled(sum, factor_load(&factor), -zero, 255 - zero);
    const int wanted = by_floats(sum, factor, -zero, 255 - zero);
    pairs++;
    middles += exact - lower == 0.5f || lower - exact == 0.5f;
    if (found != wanted)
        printf("%ld times %a: %d, not %d\n", (long)sum, (double)factor, found, wanted);
    return found == wanted;
}

/* The sums around which the product is nearest to the middle of two whole numbers. */
static int same_at_middles(float factor)
{
    const double middle = (double)(int)(chance() % 511) - 255.5;
    const double at = middle / (double)factor;
    if (at > 2147483647.0 || at < -2147483648.0)
        return 1;
    for (int64_t step = -2; step <= 2; step++)
        if (!same((int64_t)at + step, factor))
            return 0;
    return 1;
}

static float of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int main(void)
{
    static const int64_t ends[] = {0, 1, 2, 16777215, 16777216, 16777217, 16777219, 33554433,
                                   33554435, 2147483646, 2147483647, -2147483647, -2147483648LL};
    /* Every exponent, with mantissas from one end to the other: all that a factor can be. */
    for (uint32_t exponent = 0; exponent < 255; exponent++)
        for (uint32_t i = 0; i < 300; i++) {
            const uint32_t last = i < 3 ? i : i < 6 ? 0x7fffffu - (i - 3) : chance() & 0x7fffffu;
            const float factor = of_bits(exponent << 23 | last);
            for (size_t j = 0; j < sizeof ends / sizeof *ends; j++)
                if (!same(ends[j], factor) || !same(-ends[j], factor))
                    return 1;
            if (!same((int32_t)chance(), factor) || (exponent && !same_at_middles(factor)))
                return 1;
        }
    /* What nets have: factors of 2^-20 to 2, sums that come to bytes. */
    for (long i = 0; i < 1000000; i++) {
        const float factor = of_bits((107 + chance() % 21) << 23 | (chance() & 0x7fffffu));
        const int64_t size = (int64_t)(300 / (double)factor) + 1;
        const int64_t sum = (int64_t)chance() % size;
        if (!same(chance() & 1 ? sum : -sum, factor) || !same_at_middles(factor))
            return 1;
    }
    /* Exact middles: odd sums of few bits by powers of two. */
    for (int shift = 1; shift < 22; shift++)
        for (int64_t half = -511; half < 512; half += 2)
            for (int64_t step = -1; step <= 1; step++) {
                const float factor = of_bits((uint32_t)(127 - shift) << 23);
                if (!same(half * ((int64_t)1 << (shift - 1)) + step, factor))
                    return 1;
            }
    printf("%ld %ld\n", pairs, middles);
    return 0;
}

/* Bytes multiplied, beside the same with every product kept in memory before the zero point is added.
 * Among these numbers are some where one rounding of both gives another byte than two. kernel.h is
 * mul_u8.h with what it includes. Exits with 1 if a byte differs. */
#include <stdio.h>
#include "kernel.h"

enum { COUNT = 251 };

struct numbers {
    float factor;
    int other, zero;
};
static const struct numbers cases[] = {
    {0x1.a2efaep-7f, 29, 102}, {0x1.a2efaep-7f, 59, 128}, {0x1.a2efaep-7f, 59, 154},
    {0x1.317a8p-7f, 65, 102},  {0x1.317a8p-7f, 151, 102},
};
static volatile float memory;

static int wanted(int in, int other, const struct mul_u8 *s)
{
    memory = (float)(in * other) * s->factor;
    memory = memory + s->zero;
    const int whole = round_even(memory);
    return whole < s->low ? s->low : whole > s->high ? s->high : whole;
}

static int same(const struct numbers *given)
{
    static uint8_t in[COUNT], other[COUNT], out[COUNT];
    struct mul_u8 s;
    memset(&s, 0, sizeof s);
    s.height = s.width = s.in_step = s.other_step = 1;
    s.channels = s.in_pixel = s.in_row = s.other_pixel = s.other_row = s.out_pixel = s.out_row = COUNT;
    s.zero = (float)given->zero;
    s.factor = given->factor;
    s.high = 255;
    for (int i = 0; i < COUNT; i++) {
        in[i] = (uint8_t)i;
        other[i] = (uint8_t)given->other;
    }
    mul_u8(in, other, out, &s);
    for (int i = 0; i < COUNT; i++)
        if (out[i] != wanted(in[i], other[i], &s)) {
            printf("%d * %d by %a: %d\n", in[i], other[i], (double)s.factor, out[i]);
            return 0;
        }
    return 1;
}

int main(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!same(&cases[i]))
            return 1;
    return 0;
}

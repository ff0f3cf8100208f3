/* Numbers taken from an axis by their places. */
#include "parts/common.h"

struct gather_u8 {
    int count;                       /* how often it is done: the axes before this one */
    int size, taken;                 /* of the axis: in the input, and in the output */
    int inner;                       /* numbers that lie together: the axes behind */
};

INLINE void gather_u8(const uint8_t *in, uint8_t *out, const int32_t *places, const struct gather_u8 *s)
{
    for (int i = 0; i < s->count; i++)
        for (int j = 0; j < s->taken; j++)
            memcpy(out + (i * s->taken + j) * s->inner,
                   in + (i * s->size + places[j]) * s->inner, (size_t)s->inner * sizeof *out);
}

/* Numbers taken from an axis by their places. */
#include "parts/common.h"

struct gather_f32 {
    int count;                       /* how often it is done: the axes before this one */
    int size, taken;                 /* of the axis: in the input, and in the output */
    int inner;                       /* numbers that lie together: the axes behind */
};

INLINE void gather_f32(const float *in, float *out, const int32_t *places, const struct gather_f32 *s)
{
    for (int i = 0; i < s->count; i++)
        for (int j = 0; j < s->taken; j++)
            memcpy(out + (i * s->taken + j) * s->inner,
                   in + (i * s->size + places[j]) * s->inner, (size_t)s->inner * sizeof *out);
}

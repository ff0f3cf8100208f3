/* Numbers in another order: what Transpose, Reshape, Slice and the like come to, one after another.
 * Six loops go over the output as it lies: one over rows, two over pixels, three over channels. */
#include "parts/common.h"

struct rearrange_f32 {
    int size0, size1, size2, size3, size4, size5; /* how often each loop runs, the slowest first */
    int step0, step1, step2, step3, step4, step5; /* its steps through the input, in numbers */
    int first;                       /* the place of the first number */
    int out_row, out_pixel;          /* steps to the next one, in numbers */
};

INLINE void rearrange_f32_pixel(const float *in, float *out, const struct rearrange_f32 *s)
{
    for (int i = 0; i < s->size3; i++)
        for (int j = 0; j < s->size4; j++) {
            const float *from = in + i * s->step3 + j * s->step4;
            for (int k = 0; k < s->size5; k++)
                *out++ = from[k * s->step5];
        }
}

INLINE void rearrange_f32(const float *in, float *out, const struct rearrange_f32 *s)
{
    for (int y = 0; y < s->size0; y++)
        for (int i = 0; i < s->size1; i++)
            for (int j = 0; j < s->size2; j++) {
                const int from = s->first + y * s->step0 + i * s->step1 + j * s->step2;
                const int pixel = i * s->size2 + j;
                rearrange_f32_pixel(in + from, out + y * s->out_row + pixel * s->out_pixel, s);
            }
}

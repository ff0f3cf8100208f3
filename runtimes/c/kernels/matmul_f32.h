/* Products of computed matrices, [rows, run] by [run, columns], one behind the other: floats. */
#include "parts/store_f32.h"

struct matmul_f32 {
    int count;                       /* of matrices */
    int rows, run, columns;
    int in_step, other_step;         /* from one matrix to the next: 0 where one meets all others */
    float alpha;                     /* what products are multiplied by */
    float low, high;                 /* what the output is clipped to */
};

INLINE void matmul_f32_row(const float *in, const float *other, float *out, const struct matmul_f32 *s)
{
    for (int c = 0; c < s->columns; c += FLOATS) {
        floats sum = floats_all(0.0f);
        for (int k = 0; k < s->run; k++)
            sum = floats_fma(floats_all(in[k]), floats_load(other + k * s->columns + c), sum);
        sum = floats_mul(sum, floats_all(s->alpha));
        floats_store_some(out + c, floats_clip(sum, s->low, s->high), s->columns - c);
    }
}

INLINE void matmul_f32(const float *in, const float *other, float *out, const struct matmul_f32 *s)
{
    for (int i = 0; i < s->count; i++)
        for (int y = 0; y < s->rows; y++)
            matmul_f32_row(in + i * s->in_step + y * s->run, other + i * s->other_step,
                           out + (i * s->rows + y) * s->columns, s);
}

/* alpha * (e^x - 1) of numbers below zero: floats. */
#include "parts/exponential.h"

struct elu_f32 {
    int height, width, channels;
    int in_row, out_row;             /* steps to the next row, in numbers */
    float alpha;
};

INLINE void elu_f32(const float *in, float *out, const struct elu_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int i = 0; i < s->width * s->channels; i++) {
            const float x = in[y * s->in_row + i];
            out[y * s->out_row + i] = x < 0 ? s->alpha * (exponential(x < 0 ? x : 0) - 1.0f) : x;
        }
}

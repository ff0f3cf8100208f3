/* Softmax along one axis: floats. Each is e^(x - largest), over the sum of all of these. */
#include "parts/exponential.h"

struct softmax_f32 {
    int height, width;               /* how often it is done */
    int length, step;                /* of the axis, and from one number along it to the next */
    int in_row, in_pixel;            /* steps to the next one, in numbers */
    int out_row, out_pixel;
};

INLINE void softmax_f32_one(const float *in, float *out, const struct softmax_f32 *s)
{
    float largest = in[0], sum = 0;
    for (int i = 1; i < s->length; i++)
        largest = in[i * s->step] > largest ? in[i * s->step] : largest;
    for (int i = 0; i < s->length; i++)
        out[i * s->step] = exponential(in[i * s->step] - largest);
    for (int i = 0; i < s->length; i++)
        sum += out[i * s->step];
    for (int i = 0; i < s->length; i++)
        out[i * s->step] /= sum;
}

INLINE void softmax_f32(const float *in, float *out, const struct softmax_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++)
            softmax_f32_one(in + y * s->in_row + x * s->in_pixel,
                            out + y * s->out_row + x * s->out_pixel, s);
}

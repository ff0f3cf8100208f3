/* Convolution of a picture in groups, channels last: each group's output channels see its own input
 * channels only. Floats in, floats out. Every group is a conv_f32, with weights as that wants them;
 * a run is one pixel's channels of a group. */
#include "conv_f32.h"

struct grouped_f32 {
    int groups;
    int height, width, channels;     /* of the output; channels of one group */
    int rows, runs, run;             /* of the kernel; a run in numbers */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int in_row, in_pixel;            /* steps to the next one, in numbers */
    int out_row, out_pixel;
    float low, high;                 /* what the output is clipped to */
};

INLINE void grouped_f32(const float *in, float *out, const float *weights, const float *bias,
                        const struct grouped_f32 *s)
{
    const struct conv_f32 one = {
        s->height, s->width, s->channels, s->rows, s->runs, s->run, s->dilation_y, s->dilation_x,
        s->stride_y, s->stride_x, s->in_row, s->in_pixel, s->out_row, s->out_pixel, s->low, s->high,
    };
    const int filled = (s->channels + BLOCK - 1) / BLOCK * BLOCK;
    ROLL for (int g = 0; g < s->groups; g++)
        conv_f32(in + g * s->run, out + g * s->channels, weights + g * s->rows * s->runs * s->run * filled,
                 bias + g * filled, &one);
}

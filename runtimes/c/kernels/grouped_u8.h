/* Convolution of a picture in groups, channels last: each group's output channels see its own input
 * channels only. Unsigned bytes in, unsigned bytes out. Every group is a conv_u8, with weights as that
 * wants them; a run is one pixel's channels of a group. */
#include "conv_u8.h"

struct grouped_u8 {
    int groups;
    int height, width, channels;     /* of the output; channels of one group */
    int in_channels;                 /* of one group */
    int rows, runs, run;             /* of the kernel; a run in bytes, a multiple of four */
    int dilation_y, dilation_x;
    int stride_y, stride_x;
    int in_row, in_pixel;            /* steps to the next one, in bytes */
    int out_row, out_pixel;
    int pairs_fit;                   /* two neighbouring weights times bytes always fit 16 bits */
    int zero;                        /* the zero point of the output */
    float low, high;                 /* what the output is clipped to, without its zero point */
};

INLINE void grouped_u8(const uint8_t *in, uint8_t *out, const int8_t *weights, const int32_t *bias,
                       const float *factor, const struct grouped_u8 *s)
{
    const struct conv_u8 one = {
        s->height, s->width, s->channels, s->rows, s->runs, s->run, s->dilation_y, s->dilation_x,
        s->stride_y, s->stride_x, s->in_row, s->in_pixel, s->out_row, s->out_pixel, s->pairs_fit,
        s->zero, s->low, s->high,
    };
    const int filled = (s->channels + BLOCK - 1) / BLOCK * BLOCK;
    ROLL for (int g = 0; g < s->groups; g++)
        conv_u8(in + g * s->in_channels, out + g * s->channels,
                weights + g * s->rows * s->runs * s->run * filled, bias + g * filled,
                factor + g * filled, &one);
}

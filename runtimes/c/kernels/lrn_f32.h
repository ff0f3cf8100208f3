/* Local response normalisation: each number over a power of the squares of the channels around it.
 *
 * The power is 0.75, as in every net that has it: a root of a root, cubed. */
#include "parts/square_root.h"

struct lrn_f32 {
    int height, width, channels;
    int before, behind;              /* how many channels around one count */
    int in_row, in_pixel;            /* steps to the next one, in numbers */
    int out_row, out_pixel;
    float bias, factor;
};

INLINE float lrn_f32_one(const float *in, int channel, const struct lrn_f32 *s)
{
    const int last = smaller(channel + s->behind, s->channels - 1);
    float sum = 0;
    for (int c = channel > s->before ? channel - s->before : 0; c <= last; c++)
        sum += in[c] * in[c];
    const float root = square_root(square_root(s->bias + s->factor * sum));
    return in[channel] / (root * root * root);
}

INLINE void lrn_f32(const float *in, float *out, const struct lrn_f32 *s)
{
    for (int y = 0; y < s->height; y++)
        for (int x = 0; x < s->width; x++)
            for (int c = 0; c < s->channels; c++)
                out[y * s->out_row + x * s->out_pixel + c] =
                    lrn_f32_one(in + y * s->in_row + x * s->in_pixel, c, s);
}

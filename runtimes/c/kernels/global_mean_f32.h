/* The mean of each channel of a picture: floats. */
#include "parts/store_f32.h"

struct global_mean_f32 {
    int in_height, in_width, channels;
    int in_row, in_pixel;            /* steps to the next one, in numbers */
};

INLINE void global_mean_f32(const float *in, float *out, const struct global_mean_f32 *s)
{
    for (int c = 0; c < s->channels; c += FLOATS) {
        floats sum = floats_all(0.0f);
        for (int y = 0; y < s->in_height; y++)
            for (int x = 0; x < s->in_width; x++)
                sum = floats_add(sum, floats_load(in + y * s->in_row + x * s->in_pixel + c));
        floats_store_some(out + c, sum, s->channels - c);
    }
    for (int c = 0; c < s->channels; c++)
        out[c] /= (float)(s->in_height * s->in_width);
}

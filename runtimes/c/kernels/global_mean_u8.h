/* The mean of each channel of a picture: unsigned bytes, as ONNX Runtime's QLinearGlobalAveragePool. */
#include "common.h"

struct global_mean_u8 {
    int in_height, in_width, channels;
    int in_row, in_pixel;            /* steps to the next one, in bytes */
    int in_zero, zero;               /* zero points of the input and the output */
    float factor;                    /* the input's scale over the output's and the number of pixels */
};

INLINE void global_mean_u8(const uint8_t *in, uint8_t *out, const struct global_mean_u8 *s)
{
    for (int c = 0; c < s->channels; c++) {
        int32_t sum = -s->in_zero * s->in_height * s->in_width;
        for (int y = 0; y < s->in_height; y++)
            for (int x = 0; x < s->in_width; x++)
                sum += in[y * s->in_row + x * s->in_pixel + c];
        float mean = (float)sum * s->factor;
        mean = mean > (float)-s->zero ? mean : (float)-s->zero;
        mean = mean < (float)(255 - s->zero) ? mean : (float)(255 - s->zero);
        out[c] = (uint8_t)(round_even(mean) + s->zero);
    }
}

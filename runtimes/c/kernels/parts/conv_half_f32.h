/* The last channels of a convolution, where they fill no more than half of a vector. Included by conv_f32.h. */
INLINE void conv_half_f32_sums(halves *sums, const float *in, const float *weights, const float *bias,
                               const struct conv_f32 *s, int pixels)
{
    const int step = s->pool_columns * s->stride_x * s->in_pixel;
    UNROLL for (int p = 0; p < pixels; p++)
        sums[p] = halves_load(bias);
    ROLL for (int y = 0; y < s->rows; y++)
        ROLL for (int x = 0; x < s->runs; x++) {
            const float *at = in + y * s->dilation_y * s->in_row + x * s->dilation_x * s->in_pixel;
            ROLL for (int k = 0; k < s->run; k++, weights += BLOCK)
                UNROLL for (int p = 0; p < pixels; p++)
                    sums[p] = halves_fma(halves_all(at[p * step + k]), halves_load(weights), sums[p]);
        }
}

INLINE void conv_half_f32_tile(const float *in, float *out, const float *weights, const float *bias,
                               const struct conv_f32 *s, int pixels, int channels)
{
    const halves low = halves_all(s->low), high = halves_all(s->high);
    halves sums[2 * FLOAT_PIXELS], most[2 * FLOAT_PIXELS];
    conv_half_f32_sums(most, in, weights, bias, s, pixels);
    ROLL for (int i = 1; i < s->pool_rows * s->pool_columns; i++) {
        const int y = i / s->pool_columns * s->stride_y, x = i % s->pool_columns * s->stride_x;
        conv_half_f32_sums(sums, in + y * s->in_row + x * s->in_pixel, weights, bias, s, pixels);
        UNROLL for (int p = 0; p < pixels; p++)
            most[p] = halves_max(most[p], sums[p]);
    }
    UNROLL for (int p = 0; p < pixels; p++) {
        float all[HALVES];
        halves_store(all, halves_min(halves_max(most[p], low), high));
        memcpy(out + p * s->out_pixel, all, (size_t)smaller(channels, HALVES) * sizeof *out);
    }
}

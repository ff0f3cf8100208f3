/* The sums of conv_sums_u8 with Helium, which multiplies 16 bytes with 16 others and adds all products
 * to one sum: 16 bytes of a run with the 16 weights of one channel, which are gathered by fours. Both
 * must be signed, so 128 is taken from each pixel; the bias gives back what that takes from the sums. */

/* So many bytes, as signed ones; 16 at most. */
INLINE int8x16_t helium_pixels(const uint8_t *from, int count)
{
    const uint8x16_t found = count == 16 ? vldrbq_u8(from) : vldrbq_z_u8(from, vctp8q((uint32_t)count));
    return vreinterpretq_s8_u8(veorq_u8(found, vdupq_n_u8(128)));
}

/* So many weights of a channel; what is behind them is zero. */
INLINE int8x16_t helium_weights(const int8_t *from, int count)
{
    const uint32x4_t steps = vmulq_n_u32(vidupq_n_u32(0, 1), 4 * BLOCK);
    const uint32_t *const fours = (const uint32_t *)(const void *)from;
    return vreinterpretq_s8_u32(
        count == 16 ? vldrwq_gather_offset_u32(fours, steps)
                    : vldrwq_gather_offset_z_u32(fours, steps, vctp8q((uint32_t)count)));
}

/* Biases of some channels, for pixels that lack 128: their weights are added up once for all pixels. */
INLINE const int32_t *conv_bias(int32_t *made, const int32_t *bias, const int8_t *weights, int run,
                                int vectors)
{
    ROLL for (int v = 0; v < vectors; v++) {
        int32_t sum = 0;
        ROLL for (int k = 0; k < run; k += 16)
            sum = vaddvaq_s8(sum, helium_weights(weights + k * BLOCK + 4 * v, smaller(run - k, 16)));
        made[v] = bias[v] + 128 * sum;
    }
    return made;
}

INLINE void helium_add(ints sums[][CONV_VECTORS], const uint8_t *in, int step,
                       const int8_t *weights, int pixels, int vectors, int count)
{
    int8x16_t pixel[INT_PIXELS * CONV_VECTORS];
    UNROLL for (int p = 0; p < pixels; p++)
        pixel[p] = helium_pixels(in + p * step, count);
    UNROLL for (int v = 0; v < vectors; v++) {
        const int8x16_t weight = helium_weights(weights + 4 * v, count);
        UNROLL for (int p = 0; p < pixels; p++)
            sums[p][v] = vmladavaq_s8(sums[p][v], pixel[p], weight);
    }
}

INLINE void conv_sums_u8(ints sums[][CONV_VECTORS], const uint8_t *in, const int8_t *weights,
                         const int32_t *bias, const struct conv_sums_u8 *s, int pixels, int vectors)
{
    const int rest = s->run % 16;
    UNROLL for (int v = 0; v < vectors; v++)
        UNROLL for (int p = 0; p < pixels; p++)
            sums[p][v] = bias[v];
    ROLL for (int y = 0; y < s->rows; y++)
        ROLL for (int x = 0; x < s->runs; x++) {
            const uint8_t *at = in + y * s->in_row + x * s->in_pixel;
            ROLL for (int k = 0; k + 16 <= s->run; k += 16, at += 16, weights += 16 * BLOCK)
                helium_add(sums, at, s->step, weights, pixels, vectors, 16);
            if (rest > 0)
                helium_add(sums, at, s->step, weights, pixels, vectors, rest);
            weights += rest * BLOCK;
        }
}

/* Sums of bytes where NEON has dot products: four bytes of each of four channels at once. */
enum { INTS = 4, INT_CHANNELS = 16, INT_PIXELS = 4 };

typedef int8x16_t weights_of_four;
INLINE weights_of_four weights_load(const int8_t *from) { return vld1q_s8(from); }

#if defined(__ARM_FEATURE_MATMUL_INT8)
typedef int32x4_t ints;
INLINE ints ints_of(int32x4_t total) { return total; }
INLINE int32x4_t ints_total(ints sum) { return sum; }
INLINE ints ints_add(ints a, ints b) { return vaddq_s32(a, b); }

typedef uint8x16_t four;
INLINE four four_load(const uint8_t *from) { return neon_four(from); }

/* Add the products of four pixels with four weights to each lane. */
INLINE ints ints_dot(ints sum, four pixels, weights_of_four weights)
{
    return vusdotq_s32(sum, pixels, weights);
}
#else
/* Here both sides must be signed, so 128 is taken from each pixel. What that takes from a sum is the
   same for all pixels beside one another, and compilers see it: they compute it once for all. */
typedef struct { int32x4_t sum, taken; } ints;
INLINE ints ints_of(int32x4_t total)
{
    const ints found = {total, vdupq_n_s32(0)};
    return found;
}
INLINE int32x4_t ints_total(ints sum) { return vsubq_s32(sum.sum, sum.taken); }
INLINE ints ints_add(ints a, ints b)
{
    const ints found = {vaddq_s32(a.sum, b.sum), vaddq_s32(a.taken, b.taken)};
    return found;
}

typedef int8x16_t four;
INLINE four four_load(const uint8_t *from)
{
    return vreinterpretq_s8_u8(veorq_u8(neon_four(from), vdupq_n_u8(128)));
}

/* Add the products of four pixels with four weights to each lane. */
INLINE ints ints_dot(ints sum, four pixels, weights_of_four weights)
{
    sum.sum = vdotq_s32(sum.sum, pixels, weights);
    sum.taken = vdotq_s32(sum.taken, vdupq_n_s8(-128), weights);
    return sum;
}
#endif

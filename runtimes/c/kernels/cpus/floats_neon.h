/* Floats of NEON. That of armv7 takes numbers below 2^-126 for zero, which no net notices. */
#if defined(__aarch64__)
enum { FLOATS = 4, FLOAT_CHANNELS = 16, FLOAT_PIXELS = 4 };
#else
enum { FLOATS = 4, FLOAT_CHANNELS = 8, FLOAT_PIXELS = 4 };
#endif

typedef float32x4_t floats;

INLINE floats floats_load(const float *from) { return vld1q_f32(from); }
INLINE floats floats_all(float value) { return vdupq_n_f32(value); }
INLINE floats floats_add(floats a, floats b) { return vaddq_f32(a, b); }
INLINE floats floats_sub(floats a, floats b) { return vsubq_f32(a, b); }
INLINE floats floats_mul(floats a, floats b) { return vmulq_f32(a, b); }
INLINE floats floats_max(floats a, floats b) { return vmaxq_f32(a, b); }
INLINE floats floats_min(floats a, floats b) { return vminq_f32(a, b); }
INLINE void floats_store(float *to, floats value) { vst1q_f32(to, value); }

/* a * b + c, in one rounding where the core can. */
INLINE floats floats_fma(floats a, floats b, floats c)
{
#if defined(__ARM_FEATURE_FMA)
    return vfmaq_f32(c, a, b);
#else
    return vmlaq_f32(c, a, b);
#endif
}

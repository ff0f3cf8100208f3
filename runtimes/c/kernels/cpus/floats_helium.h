/* Floats of Helium, Cortex-M55 and M85. */
enum { FLOATS = 4, FLOAT_CHANNELS = 8, FLOAT_PIXELS = 2 };

typedef float32x4_t floats;

INLINE floats floats_load(const float *from) { return vld1q_f32(from); }
INLINE floats floats_all(float value) { return vdupq_n_f32(value); }
INLINE floats floats_add(floats a, floats b) { return vaddq_f32(a, b); }
INLINE floats floats_sub(floats a, floats b) { return vsubq_f32(a, b); }
INLINE floats floats_mul(floats a, floats b) { return vmulq_f32(a, b); }
INLINE floats floats_max(floats a, floats b) { return vmaxnmq_f32(a, b); }
INLINE floats floats_min(floats a, floats b) { return vminnmq_f32(a, b); }
INLINE floats floats_fma(floats a, floats b, floats c) { return vfmaq_f32(c, a, b); }
INLINE void floats_store(float *to, floats value) { vst1q_f32(to, value); }

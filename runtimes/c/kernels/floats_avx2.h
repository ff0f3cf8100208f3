/* Floats of x86 with AVX2 and FMA. */
enum { FLOATS = 8, FLOAT_CHANNELS = 16, FLOAT_PIXELS = 6 };

typedef __m256 floats;

INLINE floats floats_load(const float *from) { return _mm256_loadu_ps(from); }
INLINE floats floats_all(float value) { return _mm256_set1_ps(value); }
INLINE floats floats_add(floats a, floats b) { return _mm256_add_ps(a, b); }
INLINE floats floats_sub(floats a, floats b) { return _mm256_sub_ps(a, b); }
INLINE floats floats_mul(floats a, floats b) { return _mm256_mul_ps(a, b); }
INLINE floats floats_max(floats a, floats b) { return _mm256_max_ps(a, b); }
INLINE floats floats_min(floats a, floats b) { return _mm256_min_ps(a, b); }
INLINE floats floats_fma(floats a, floats b, floats c) { return _mm256_fmadd_ps(a, b, c); }
INLINE void floats_store(float *to, floats value) { _mm256_storeu_ps(to, value); }

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
INLINE floats floats_div(floats a, floats b) { return _mm256_div_ps(a, b); }

/* As many bytes as floats, and back: to the nearest whole number, halves to even, then the zero point. */
#define FLOATS_OF_BYTES
INLINE floats floats_bytes(const uint8_t *from)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from)));
}
INLINE void floats_store_bytes(uint8_t *to, floats value, int zero)
{
    __m256i whole = _mm256_add_epi32(_mm256_cvtps_epi32(value), _mm256_set1_epi32(zero));
    __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(whole),
                                      _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64((__m128i *)(void *)to, _mm_packus_epi16(halves, halves));
}

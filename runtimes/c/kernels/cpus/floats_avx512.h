/* Floats of x86 with AVX-512. */
enum { FLOATS = 16, FLOAT_CHANNELS = 16, FLOAT_PIXELS = 8 };

typedef __m512 floats;

INLINE floats floats_load(const float *from) { return _mm512_loadu_ps(from); }
INLINE floats floats_all(float value) { return _mm512_set1_ps(value); }
INLINE floats floats_add(floats a, floats b) { return _mm512_add_ps(a, b); }
INLINE floats floats_sub(floats a, floats b) { return _mm512_sub_ps(a, b); }
INLINE floats floats_mul(floats a, floats b) { return _mm512_mul_ps(a, b); }
INLINE floats floats_max(floats a, floats b) { return _mm512_max_ps(a, b); }
INLINE floats floats_min(floats a, floats b) { return _mm512_min_ps(a, b); }
INLINE floats floats_fma(floats a, floats b, floats c) { return _mm512_fmadd_ps(a, b, c); }
INLINE void floats_store(float *to, floats value) { _mm512_storeu_ps(to, value); }
INLINE floats floats_div(floats a, floats b) { return _mm512_div_ps(a, b); }

/* As many bytes as floats, and back: to the nearest whole number, halves to even, then the zero point. */
#define FLOATS_OF_BYTES
INLINE floats floats_bytes(const uint8_t *from)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from)));
}
INLINE void floats_store_bytes(uint8_t *to, floats value, int zero)
{
    __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(value), _mm512_set1_epi32(zero));
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8(whole));
}

/* Half as wide, for the last channels: eight or fewer would leave half of a wide vector idle. */
#define HALVES 8
typedef __m256 halves;

INLINE halves halves_load(const float *from) { return _mm256_loadu_ps(from); }
INLINE halves halves_all(float value) { return _mm256_set1_ps(value); }
INLINE halves halves_max(halves a, halves b) { return _mm256_max_ps(a, b); }
INLINE halves halves_min(halves a, halves b) { return _mm256_min_ps(a, b); }
INLINE halves halves_fma(halves a, halves b, halves c) { return _mm256_fmadd_ps(a, b, c); }
INLINE void halves_store(float *to, halves value) { _mm256_storeu_ps(to, value); }

/* x86 with AVX2 and FMA: 8 lanes. */
#include <immintrin.h>
#include "cpus/floats_avx2.h"

enum { INTS = 8, INT_CHANNELS = 16, INT_PIXELS = 4 };

typedef __m256i ints;
typedef __m256i four;
typedef __m256i weights_of_four;

INLINE ints ints_load(const int32_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}
INLINE ints ints_none(void) { return _mm256_setzero_si256(); }
INLINE ints ints_add(ints a, ints b) { return _mm256_add_epi32(a, b); }
INLINE ints ints_max(ints a, ints b) { return _mm256_max_epi32(a, b); }

/* A factor for each lane of sums. */
typedef __m256 factors;
INLINE factors factors_load(const float *from) { return _mm256_loadu_ps(from); }

/* Multiply, clip, round, add the zero point; low and high are without it. */
INLINE void ints_requantise(uint8_t *to, ints sum, factors factor, float low, float high, int zero)
{
    __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), factor);
    value = _mm256_min_ps(_mm256_max_ps(value, _mm256_set1_ps(low)), _mm256_set1_ps(high));
    floats_store_bytes(to, value, zero);
}

/* Multiply and clip. */
INLINE void ints_scale(float *to, ints sum, factors factor, float low, float high)
{
    __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), factor);
    value = _mm256_min_ps(_mm256_max_ps(value, _mm256_set1_ps(low)), _mm256_set1_ps(high));
    _mm256_storeu_ps(to, value);
}

/* Four neighbouring bytes, in every lane. */
INLINE four four_load(const uint8_t *from)
{
    int32_t bytes;
    memcpy(&bytes, from, 4);
    return _mm256_set1_epi32(bytes);
}

INLINE weights_of_four weights_load(const int8_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

/* Add the products of four pixels with four weights to each lane. Without VNNI in 16-bit numbers,
   bytes 0 and 2, then 1 and 3: vpmaddubsw would saturate. */
INLINE ints ints_dot(ints sum, four pixels, weights_of_four weights)
{
#if defined(__AVXVNNI__)
    return _mm256_dpbusd_avx_epi32(sum, pixels, weights);
#else
    __m256i low = _mm256_set1_epi16(255);
    __m256i even = _mm256_madd_epi16(_mm256_and_si256(pixels, low),
                                     _mm256_srai_epi16(_mm256_slli_epi16(weights, 8), 8));
    __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(pixels, 8), _mm256_srai_epi16(weights, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
#endif
}

/* The same, where two neighbouring products always fit 16 bits. */
#if !defined(__AVXVNNI__)
#define DOT_OF_PAIRS
INLINE ints ints_dot_of_pairs(ints sum, four pixels, weights_of_four weights)
{
    const __m256i pairs = _mm256_maddubs_epi16(pixels, weights);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
#endif

/* Layers that keep channels apart: sums with a lane for each channel, and bytes as numbers of 16 bits
   that are multiplied with one another. */
typedef __m256i lanes;
typedef __m256i shorts;

INLINE lanes lanes_load(const int32_t *from) { return ints_load(from); }
INLINE ints ints_of_lanes(lanes sum) { return sum; }
INLINE shorts shorts_of_bytes(const uint8_t *from)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from));
}
INLINE shorts shorts_of_weights(const int8_t *from)
{
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from));
}
INLINE lanes lanes_add_product(lanes sum, shorts pixels, shorts weights)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pixels, weights));
}

/* Bytes that are compared. */
enum { BYTES = 16 };
typedef __m128i bytes;

INLINE bytes bytes_load(const uint8_t *from)
{
    return _mm_loadu_si128((const __m128i *)(const void *)from);
}
INLINE bytes bytes_max(bytes a, bytes b) { return _mm_max_epu8(a, b); }
INLINE void bytes_store(uint8_t *to, bytes value) { _mm_storeu_si128((__m128i *)(void *)to, value); }

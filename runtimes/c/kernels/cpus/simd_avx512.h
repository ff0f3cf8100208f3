/* x86 with AVX512-VNNI: 16 lanes of integers, 8 of floats. */
#if defined(__GNUC__) && !defined(__clang__) /* g++ warns of its own header, where lanes do not matter */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif
#include "cpus/floats_avx512.h"

enum { INTS = 16, INT_CHANNELS = 16, INT_PIXELS = 8 };

typedef __m512i ints;
typedef __m512i four;
typedef __m512i weights_of_four;

INLINE ints ints_load(const int32_t *from) { return _mm512_loadu_si512((const void *)from); }
INLINE ints ints_none(void) { return _mm512_setzero_si512(); }
INLINE ints ints_add(ints a, ints b) { return _mm512_add_epi32(a, b); }
INLINE ints ints_max(ints a, ints b) { return _mm512_max_epi32(a, b); }

/* A factor for each lane of sums. */
typedef __m512 factors;
INLINE factors factors_load(const float *from) { return _mm512_loadu_ps(from); }

/* Multiply, clip, round, add the zero point; low and high are without it. */
INLINE void ints_requantise(uint8_t *to, ints sum, factors factor, float low, float high, int zero)
{
    __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), factor);
    value = _mm512_min_ps(_mm512_max_ps(value, _mm512_set1_ps(low)), _mm512_set1_ps(high));
    floats_store_bytes(to, value, zero);
}

/* Multiply and clip. */
INLINE void ints_scale(float *to, ints sum, factors factor, float low, float high)
{
    __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), factor);
    value = _mm512_min_ps(_mm512_max_ps(value, _mm512_set1_ps(low)), _mm512_set1_ps(high));
    _mm512_storeu_ps(to, value);
}

/* Four neighbouring bytes, in every lane. */
INLINE four four_load(const uint8_t *from)
{
    int32_t bytes;
    memcpy(&bytes, from, 4);
    return _mm512_set1_epi32(bytes);
}

INLINE weights_of_four weights_load(const int8_t *from)
{
    return _mm512_loadu_si512((const void *)from);
}

/* Add the products of four pixels with four weights to each lane. */
INLINE ints ints_dot(ints sum, four pixels, weights_of_four weights)
{
    return _mm512_dpbusd_epi32(sum, pixels, weights);
}

/* Layers that keep channels apart: sums with a lane for each channel, and bytes as numbers of 16 bits
   that are multiplied with one another. */
typedef __m512i lanes;
typedef __m512i shorts;

INLINE lanes lanes_load(const int32_t *from) { return ints_load(from); }
INLINE ints ints_of_lanes(lanes sum) { return sum; }
INLINE shorts shorts_of_bytes(const uint8_t *from)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
}
INLINE shorts shorts_of_weights(const int8_t *from)
{
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
}
INLINE lanes lanes_add_product(lanes sum, shorts pixels, shorts weights)
{
    return _mm512_dpwssd_epi32(sum, pixels, weights);
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

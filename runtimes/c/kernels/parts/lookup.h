/* A table of 256 bytes, looked up many times at once where the core has an instruction for that. */
#include "parts/common.h"

#if defined(__AVX512VBMI__)
#include <immintrin.h>

/* 64 at once: each half of the table fills two vectors, and the highest bit says which half. */
INLINE int look_up_many(const uint8_t *in, uint8_t *out, const uint8_t *table, int count)
{
    const __m512i a = _mm512_loadu_si512((const void *)table);
    const __m512i b = _mm512_loadu_si512((const void *)(table + 64));
    const __m512i c = _mm512_loadu_si512((const void *)(table + 128));
    const __m512i d = _mm512_loadu_si512((const void *)(table + 192));
    int i = 0;
    for (; i + 64 <= count; i += 64) {
        const __m512i places = _mm512_loadu_si512((const void *)(in + i));
        const __m512i low = _mm512_permutex2var_epi8(a, places, b);
        const __m512i high = _mm512_permutex2var_epi8(c, places, d);
        const __m512i found = _mm512_mask_blend_epi8(_mm512_movepi8_mask(places), low, high);
        _mm512_storeu_si512((void *)(out + i), found);
    }
    return i;
}
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>

/* 16 at once: an instruction takes a quarter of the table, and leaves what it does not find. */
INLINE int look_up_many(const uint8_t *in, uint8_t *out, const uint8_t *table, int count)
{
    const uint8x16x4_t a = vld1q_u8_x4(table), b = vld1q_u8_x4(table + 64);
    const uint8x16x4_t c = vld1q_u8_x4(table + 128), d = vld1q_u8_x4(table + 192);
    int i = 0;
    for (; i + 16 <= count; i += 16) {
        const uint8x16_t places = vld1q_u8(in + i);
        uint8x16_t found = vqtbl4q_u8(a, places);
        found = vqtbx4q_u8(found, b, vsubq_u8(places, vdupq_n_u8(64)));
        found = vqtbx4q_u8(found, c, vsubq_u8(places, vdupq_n_u8(128)));
        found = vqtbx4q_u8(found, d, vsubq_u8(places, vdupq_n_u8(192)));
        vst1q_u8(out + i, found);
    }
    return i;
}
#else
INLINE int look_up_many(const uint8_t *in, uint8_t *out, const uint8_t *table, int count)
{
    (void)in, (void)out, (void)table, (void)count;
    return 0;
}
#endif

INLINE void look_up(const uint8_t *in, uint8_t *out, const uint8_t *table, int count)
{
    for (int i = look_up_many(in, out, table, count); i < count; i++)
        out[i] = table[in[i]];
}

/* ARM with NEON: 4 lanes. */
#include <arm_neon.h>
#include "cpus/floats_neon.h"

/* Four neighbouring bytes, in every lane. */
INLINE uint8x16_t neon_four(const uint8_t *from)
{
    uint32_t found;
    memcpy(&found, from, sizeof found);
    return vreinterpretq_u8_u32(vdupq_n_u32(found));
}

#if defined(__ARM_FEATURE_DOTPROD)
#include "cpus/dot_neon_i8.h"
#else
#include "cpus/dot_neon.h"
#endif

INLINE ints ints_load(const int32_t *from) { return ints_of(vld1q_s32(from)); }
INLINE ints ints_none(void) { return ints_of(vdupq_n_s32(0)); }
INLINE ints ints_max(ints a, ints b) { return ints_of(vmaxq_s32(ints_total(a), ints_total(b))); }

/* A factor for each lane of sums. */
typedef float32x4_t factors;
INLINE factors factors_load(const float *from) { return vld1q_f32(from); }

INLINE float32x4_t neon_scaled(ints sum, factors factor, float low, float high)
{
    const float32x4_t value = vmulq_f32(vcvtq_f32_s32(ints_total(sum)), factor);
    return vminq_f32(vmaxq_f32(value, vdupq_n_f32(low)), vdupq_n_f32(high));
}

/* Round halves to even; for armv7, which cannot, adding 1.5 * 2^23 leaves no bits behind the point. */
INLINE int32x4_t neon_rounded(float32x4_t value)
{
#if defined(__aarch64__)
    return vcvtnq_s32_f32(value);
#else
    const float32x4_t large = vdupq_n_f32(12582912.0f);
    return vcvtq_s32_f32(vsubq_f32(vaddq_f32(value, large), large));
#endif
}

/* Round, add the zero point. */
INLINE void floats_store_bytes(uint8_t *to, floats value, int zero)
{
    const int32x4_t whole = vaddq_s32(neon_rounded(value), vdupq_n_s32(zero));
    const uint16x4_t half = vqmovun_s32(whole);
    const uint8x8_t narrow = vqmovn_u16(vcombine_u16(half, half));
    const uint32_t found = vget_lane_u32(vreinterpret_u32_u8(narrow), 0);
    memcpy(to, &found, sizeof found);
}

/* Multiply, clip, round, add the zero point; low and high are without it. */
INLINE void ints_requantise(uint8_t *to, ints sum, factors factor, float low, float high, int zero)
{
    floats_store_bytes(to, neon_scaled(sum, factor, low, high), zero);
}

/* Multiply and clip. */
INLINE void ints_scale(float *to, ints sum, factors factor, float low, float high)
{
    vst1q_f32(to, neon_scaled(sum, factor, low, high));
}

/* Bytes as floats, where the core divides, and multiplies and adds in one rounding: armv7 does not. */
#if defined(__aarch64__)
#define FLOATS_OF_BYTES
INLINE floats floats_div(floats a, floats b) { return vdivq_f32(a, b); }
INLINE floats floats_bytes(const uint8_t *from)
{
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vget_low_u8(neon_four(from))))));
}
#endif

/* Layers that keep channels apart: sums with a lane for each channel, and bytes as numbers of 16 bits
   that are multiplied with one another. */
typedef int32x4_t lanes;
typedef int16x4_t shorts;

INLINE lanes lanes_load(const int32_t *from) { return vld1q_s32(from); }
INLINE ints ints_of_lanes(lanes sum) { return ints_of(sum); }
INLINE shorts shorts_of_bytes(const uint8_t *from)
{
    return vreinterpret_s16_u16(vget_low_u16(vmovl_u8(vget_low_u8(neon_four(from)))));
}
INLINE shorts shorts_of_weights(const int8_t *from)
{
    uint32_t found;
    memcpy(&found, from, sizeof found);
    return vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(found))));
}
INLINE lanes lanes_add_product(lanes sum, shorts pixels, shorts weights)
{
    return vmlal_s16(sum, pixels, weights);
}

/* Bytes that are compared. */
enum { BYTES = 16 };
typedef uint8x16_t bytes;

INLINE bytes bytes_load(const uint8_t *from) { return vld1q_u8(from); }
INLINE bytes bytes_max(bytes a, bytes b) { return vmaxq_u8(a, b); }
INLINE void bytes_store(uint8_t *to, bytes value) { vst1q_u8(to, value); }

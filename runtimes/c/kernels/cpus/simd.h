/* The widest vectors that the compiler may use here. Every file defines the same names.
 * A generated file has each of these files once, at the first place that includes it: what more than
 * one branch needs is included above them. Define EDGECNN_NO_SIMD for plain C. */
#include "parts/common.h"
#include "parts/scaling.h"

#if defined(NO_FLOATS) || defined(EDGECNN_NO_SIMD)
#define NO_VECTORS
#endif

/* Microsoft's compiler names no FMA: what has AVX2 has it. */
#if defined(__FMA__) || (defined(_MSC_VER) && !defined(__clang__))
#define HAS_FMA
#endif

#if defined(__AVX512VNNI__) && defined(__AVX512VL__) && defined(__AVX512BW__) && !defined(NO_VECTORS)
#include "cpus/simd_avx512.h"
#elif defined(__AVX2__) && defined(HAS_FMA) && !defined(NO_VECTORS)
#include "cpus/simd_avx2.h"
#elif defined(__ARM_NEON) && !defined(__ARM_BIG_ENDIAN) && !defined(NO_VECTORS)
#include "cpus/simd_neon.h"
#else
#include "cpus/simd_scalar.h"
#endif

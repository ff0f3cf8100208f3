/* Cores without wide vectors, and any compiler: one number at a time, but for Helium's floats and its
 * convolutions. */
#if defined(__ARM_FEATURE_MVE) && !defined(NO_VECTORS)
#include <arm_mve.h>
#define HELIUM
#endif

#if defined(HELIUM) && __ARM_FEATURE_MVE & 2
#include "cpus/floats_helium.h"
#else
#include "cpus/floats_scalar.h"
#endif
#include "cpus/ints_scalar.h"

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__) && !defined(EDGECNN_NO_SIMD)
#include "cpus/dot_dsp.h"
#else
#include "cpus/dot_scalar.h"
#endif

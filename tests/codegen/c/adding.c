/* Bytes added without floats, beside what float arithmetic gives, for all pairs of bytes and many
 * scales. kernel.h is add_u8.h with what it includes. Exits with 1 at the first sum that differs. */
#define EDGECNN_NO_FLOATS
#include <stdio.h>
#include "kernel.h"

static uint32_t state = 1;
static float chance(float low, float high)
{
    state = state * 1664525u + 1013904223u;
    return low + (high - low) * (float)(state >> 8) / 16777216.0f;
}

static int same(const struct add_u8 *s)
{
    for (int in = 0; in < 256; in++)
        for (int other = 0; other < 256; other++) {
            const int found = add_u8_whole(in, other, s), wanted = add_u8_rounded(in, other, s);
            if (found != wanted) {
                printf("%d * %a + %d * %a + %a: %d, not %d\n", in, (double)s->in_factor, other,
                       (double)s->other_factor, (double)s->constant, found, wanted);
                return 0;
            }
        }
    return 1;
}

int main(void)
{
    struct add_u8 s;
    memset(&s, 0, sizeof s);
    for (int i = 0; i < 150; i++) {
        const float most = i % 3 ? 2 : 60; /* four and more is for floats alone */
        s.in_factor = chance(0, most);
        s.other_factor = chance(0, most);
        s.constant = chance(-600, 300);
        if (i % 5 == 0) { /* sums that lie on the middle of two whole numbers */
            s.in_factor = 0.5f;
            s.other_factor = i % 2 ? 1.5f : 0.25f;
            s.constant = (float)(i - 70) * 0.5f;
        }
        if (!same(&s))
            return 1;
    }
    return 0;
}

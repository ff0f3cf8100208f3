/* A whole program for a board: the net's own self-test. Exit code 0 if its answers are right, else
 * the number of the first golden image with another one.
 *
 * Compiled with the net's header included and -DNET_SELFTEST=lenet_selftest; the net itself with
 * -DEDGECNN_SELFTEST, as this file. */

int main(void);

int main(void)
{
    return NET_SELFTEST();
}

/* ONNX Runtime as a C program calls it: everything is made beforehand, a call is one call of Run.
 *
 * The wheel brings the library and not its header, so the functions are named by their places in
 * OrtApi, which never change (onnxruntime_c_api.h: "functions are only added at the end"). */
#include <stddef.h>
#include <stdint.h>

typedef void *Thing;
typedef struct { const void *const *(*get_api)(uint32_t); const char *(*version)(void); } Base;
enum {
    GET_MESSAGE = 2, CREATE_ENV = 3, DISABLE_TELEMETRY = 6, CREATE_SESSION = 7, RUN = 9,
    CREATE_OPTIONS = 10, SET_THREADS = 24, WRAP_DATA = 49, CREATE_MEMORY = 69
};

typedef struct {
    const void *const *api;
    Thing session, input, output;
    const char *input_name, *output_name;
} Loop;

typedef Thing (*Run)(Thing, Thing, const char *const *, const Thing *, size_t, const char *const *,
                     size_t, Thing *);

/* Give what failed, or NULL. Shapes are for one image. */
const char *loop_open(Loop *loop, const Base *(*get_base)(void), const char *path, int threads)
{
    Thing env, options, failed;
    loop->api = get_base()->get_api(1);
    const void *const *api = loop->api;
    if ((failed = ((Thing (*)(int, const char *, Thing *))api[CREATE_ENV])(3, "loop", &env))
        || (failed = ((Thing (*)(Thing))api[DISABLE_TELEMETRY])(env))
        || (failed = ((Thing (*)(Thing *))api[CREATE_OPTIONS])(&options))
        || (failed = ((Thing (*)(Thing, int))api[SET_THREADS])(options, threads))
        || (failed = ((Thing (*)(Thing, const char *, Thing, Thing *))api[CREATE_SESSION])(
                env, path, options, &loop->session)))
        return ((const char *(*)(Thing))api[GET_MESSAGE])(failed);
    return NULL;
}

const char *loop_bind(Loop *loop, Thing *value, void *data, size_t bytes, const int64_t *shape,
                      size_t rank, int type)
{
    Thing memory, failed;
    const void *const *api = loop->api;
    if ((failed = ((Thing (*)(int, int, Thing *))api[CREATE_MEMORY])(0, 0, &memory))
        || (failed = ((Thing (*)(Thing, void *, size_t, const int64_t *, size_t, int, Thing *))
                api[WRAP_DATA])(memory, data, bytes, shape, rank, type, value)))
        return ((const char *(*)(Thing))api[GET_MESSAGE])(failed);
    return NULL;
}

int loop_run(Loop *loop)
{
    return ((Run)loop->api[RUN])(loop->session, NULL, &loop->input_name, &loop->input, 1,
                                 &loop->output_name, 1, &loop->output) != NULL;
}

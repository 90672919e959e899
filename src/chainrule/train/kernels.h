// What kernels for pictures share: vectors of floats, of bfloat16, and the threads that torch has.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>
#if __has_include(<dlfcn.h>)
#include <dlfcn.h>
#endif
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
constexpr int LANES = 16, COLUMNS = 4, TALL = 6;  // tiles of products: 24 sums stay in 32 registers
#elif defined(__AVX__)
constexpr int LANES = 8, COLUMNS = 2, TALL = 6;  // 12 sums in 16 registers
#else
constexpr int LANES = 4, COLUMNS = 4, TALL = 5;
#endif

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t Half __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef uint16_t bfloat16;
#define INLINE static inline __attribute__((always_inline))

INLINE Vector all(float x) { return Vector{} + x; }
INLINE Vector load(const float *p) { return *reinterpret_cast<const Vector *>(p); }
INLINE void store(float *p, Vector v) { *reinterpret_cast<Vector *>(p) = v; }
INLINE Bits widened(Half v) { return __builtin_convertvector(v, Bits); }
INLINE Vector load(const bfloat16 *p) { return reinterpret_cast<Vector>(widened(*reinterpret_cast<const Half *>(p)) << 16); }
INLINE Half halved(Vector v) {  // to the nearest, ties to even
#if defined(__AVX512BF16__)
    return reinterpret_cast<Half>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(v)));
#else
    Bits bits = reinterpret_cast<Bits>(v);
    Bits rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return __builtin_convertvector(v == v ? rounded : (bits >> 16) | 0x40, Half);  // what is no number stays none
#endif
}
INLINE void store(bfloat16 *p, Vector v) { *reinterpret_cast<Half *>(p) = halved(v); }
INLINE void store_pair(bfloat16 *p, Half first, Half second) { *reinterpret_cast<Bits *>(p) = widened(first) | (widened(second) << 16); }

constexpr int MOST_THREADS = 256;
INLINE int bounded(int64_t threads) { return static_cast<int>(std::clamp<int64_t>(threads, 1, MOST_THREADS)); }

#if __has_include(<dlfcn.h>)
typedef void (*Parallel)(void (*)(void *), void *, unsigned, unsigned);
typedef int (*Counted)();
static const auto parallel = reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
static const auto own_number = reinterpret_cast<Counted>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
static const auto team_size = reinterpret_cast<Counted>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
#endif

template <class Work> static void in_threads(int threads, Work work) {  // work(i) for every i below `threads`
#if __has_include(<dlfcn.h>)
    if (threads > 1 && parallel && own_number && team_size) {
        struct Job {
            Work *work;
            int threads;
        } job{&work, threads};
        auto run = [](void *data) {
            auto job = static_cast<Job *>(data);
            for (int i = own_number(), step = team_size(); i < job->threads; i += step) (*job->work)(i);
        };
        parallel(run, &job, threads, 0);
        return;
    }
#endif
    for (int i = 0; i < threads; i++) work(i);
}

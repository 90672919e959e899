// Chains of dense layers trained member by member, a whole epoch in one call: forward, loss, backward, update rule.
//
// A member stays in the core's own cache from its first update to its last, and its bits depend on nothing but itself.
// native.py compiles this file once per machine and describes the structures below in the same order.
//
// Layouts, all float32 and row-major; `wide` is a number filled up with zeros to a multiple of 16:
//   weights of a layer   (inputs, wide units); where units are few (units, wide inputs): vectors run along inputs
//   biases               (wide units)
//   a, δ of a layer      (rows, wide units); (rows) where there is one unit

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX512F__)
constexpr int LANES = 16, COLUMNS = 4, TALL = 6, SLIM = 16;  // of a tile: 24 sums stay in 32 registers
#elif defined(__AVX__)
constexpr int LANES = 8, COLUMNS = 2, TALL = 6, SLIM = 8;  // 12 sums in 16 registers
#else
constexpr int LANES = 4, COLUMNS = 4, TALL = 5, SLIM = 8;
#endif
constexpr int WIDE = 16;   // what units are filled up to
constexpr int FEW = 4;     // units, at the most, of a layer whose weights lie along its inputs
constexpr int AT_ONCE = 256;  // rows that are answered together

typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t Whole __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
#define INLINE static inline __attribute__((always_inline))

INLINE int64_t wide(int64_t n) { return (n + WIDE - 1) / WIDE * WIDE; }
INLINE Vector all(float x) { return Vector{} + x; }
INLINE Vector load(const float *p) { return *reinterpret_cast<const Vector *>(p); }
INLINE void store(float *p, Vector v) { *reinterpret_cast<Vector *>(p) = v; }
INLINE Vector larger(Vector a, Vector b) { return a < b ? b : a; }  // a where one is no number
INLINE Vector smaller(Vector a, Vector b) { return a > b ? b : a; }
INLINE Vector root(Vector v) {
    Vector found;
    for (int i = 0; i < LANES; i++) found[i] = __builtin_sqrtf(v[i]);
    return found;
}

template <int... I> INLINE Vector lower(Vector a, Vector b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, (I / 2 + (I % 2) * LANES)...);
}
template <int... I> INLINE Vector upper(Vector a, Vector b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, (I / 2 + LANES / 2 + (I % 2) * LANES)...);
}
template <int BY, int... I> INLINE Vector moved(Vector v, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(v, v, ((I + BY) % LANES)...);
}
constexpr auto PLACES = std::make_integer_sequence<int, LANES>{};

template <int... I> INLINE Whole counting(int64_t first, std::integer_sequence<int, I...>) {
    return Whole{I...} + static_cast<int32_t>(first);
}

INLINE float sum(Vector v) {
    if constexpr (LANES > 8) v += moved<8>(v, PLACES);
    if constexpr (LANES > 4) v += moved<4>(v, PLACES);
    v += moved<2>(v, PLACES);
    v += moved<1>(v, PLACES);
    return v[0];
}
INLINE float largest(Vector v) {
    if constexpr (LANES > 8) v = larger(v, moved<8>(v, PLACES));
    if constexpr (LANES > 4) v = larger(v, moved<4>(v, PLACES));
    v = larger(v, moved<2>(v, PLACES));
    v = larger(v, moved<1>(v, PLACES));
    return v[0];
}

// ---- functions of a vector. Source of the polynomials: Moshier's Cephes, 1992; within 2 units in the last place

// e^x as (1 + `more`) · `power`, a power of 2
struct Exponential {
    Vector more, power;
};
INLINE Exponential parts_of_exponential(Vector x) {
    Vector kept = smaller(larger(all(-87.3f), x), all(88.3f));
    Vector scaled = kept * 1.44269504f;
    Whole whole = __builtin_convertvector(scaled + (scaled < Vector{} ? all(-0.5f) : all(0.5f)), Whole);
    Vector count = __builtin_convertvector(whole, Vector);
    Vector rest = kept - count * 0.693359375f + count * 2.12194440e-4f;
    Vector series = all(1.9875691500e-4f);
    series = series * rest + 1.3981999507e-3f;
    series = series * rest + 8.3334519073e-3f;
    series = series * rest + 4.1665795894e-2f;
    series = series * rest + 1.6666665459e-1f;
    series = series * rest + 5.0000001201e-1f;
    return {series * rest * rest + rest, reinterpret_cast<Vector>((whole + 127) << 23)};
}

INLINE Vector exponential(Vector x) {
    Exponential found = parts_of_exponential(x);
    return x == x ? (found.more + 1.0f) * found.power : x;  // what is no number stays none
}

INLINE Vector exponential_less_one(Vector x) {  // exact near 0 too
    Exponential found = parts_of_exponential(x);
    return x == x ? found.more * found.power + (found.power - 1.0f) : x;
}

INLINE Vector logarithm(Vector x) {  // of positive numbers
    Whole bits = reinterpret_cast<Whole>(x);
    Vector power = __builtin_convertvector((bits >> 23) - 126, Vector);
    Vector part = reinterpret_cast<Vector>((bits & 0x007fffff) | 0x3f000000);  // 1/2 to 1
    auto is_small = part < all(0.707106781f);
    power = is_small ? power - 1.0f : power;
    part = is_small ? part + part - 1.0f : part - 1.0f;
    Vector square = part * part, series = all(7.0376836292e-2f);
    series = series * part - 1.1514610310e-1f;
    series = series * part + 1.1676998740e-1f;
    series = series * part - 1.2420140846e-1f;
    series = series * part + 1.4249322787e-1f;
    series = series * part - 1.6668057665e-1f;
    series = series * part + 2.0000714765e-1f;
    series = series * part - 2.4999993993e-1f;
    series = series * part + 3.3333331174e-1f;
    Vector found = part * square * series - power * 2.12194440e-4f - square * 0.5f + part + power * 0.693359375f;
    return (x < __builtin_inff()) & (x > Vector{}) ? found : x + x;
}

INLINE Vector magnitude(Vector x) { return x < Vector{} ? -x : x; }

INLINE Vector log_of_one_and(Vector x) {  // log(1 + x) for 0 ≤ x ≤ 1
    Vector whole = 1.0f + x;  // rounded; the quotient makes up for it
    return whole == 1.0f ? x : logarithm(whole) * (x / (whole - 1.0f));
}

INLINE Vector softplus(Vector z) { return larger(z, Vector{}) + log_of_one_and(exponential(-magnitude(z))); }

INLINE Vector sigmoid(Vector z) { return 1.0f / (1.0f + exponential(-z)); }

INLINE Vector tanh_of(Vector z) {
    Vector size = magnitude(z), square = z * z;
    Vector series = all(-5.70498872745e-3f);
    series = series * square + 2.06390887954e-2f;
    series = series * square - 5.37397155531e-2f;
    series = series * square + 1.33314422036e-1f;
    series = series * square - 3.33332819422e-1f;
    Vector far = 1.0f - 2.0f / (exponential(size + size) + 1.0f);
    return size < 0.625f ? z + z * square * series : (z < Vector{} ? -far : far);
}

// ---- products

// c[m][n] = Σ_k a[m · a_row + k · a_column] · b[k · b_row + n], plus start[n] where there is one
struct Product {
    int64_t inner;
    const float *a;
    int64_t a_row, a_column;
    const float *b;
    int64_t b_row;
    float *c;
    int64_t c_row;
    const float *start;
};

template <int ROWS, int VECTORS> INLINE void tile(const Product &p, int64_t row, int64_t column) {
    Vector sums[ROWS][VECTORS];
    for (int j = 0; j < VECTORS; j++) {
        Vector first = p.start ? load(p.start + column + j * LANES) : Vector{};
        for (int i = 0; i < ROWS; i++) sums[i][j] = first;
    }
    const float *a = p.a + row * p.a_row, *b = p.b + column;
    for (int64_t k = 0; k < p.inner; k++, a += p.a_column, b += p.b_row) {
        Vector right[VECTORS];
        for (int j = 0; j < VECTORS; j++) right[j] = load(b + j * LANES);
        for (int i = 0; i < ROWS; i++) {
            Vector left = all(a[i * p.a_row]);
            for (int j = 0; j < VECTORS; j++) sums[i][j] += left * right[j];
        }
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < VECTORS; j++) store(p.c + (row + i) * p.c_row + column + j * LANES, sums[i][j]);
}

template <int ROWS, int VECTORS> INLINE void rest(const Product &p, int64_t row, int64_t rows, int64_t column) {
    if constexpr (ROWS > 0) {
        if (rows == ROWS) tile<ROWS, VECTORS>(p, row, column);
        else rest<ROWS - 1, VECTORS>(p, row, rows, column);
    }
}

template <int VECTORS> __attribute__((noinline)) void columns(const Product &p, int64_t rows, int64_t column) {
    constexpr int ROWS = VECTORS == COLUMNS ? TALL : VECTORS == 1 ? SLIM : 8;
    int64_t row = 0;
    for (; row + ROWS <= rows; row += ROWS) tile<ROWS, VECTORS>(p, row, column);
    rest<ROWS - 1, VECTORS>(p, row, rows - row, column);
}

static void multiply(const Product &p, int64_t rows, int64_t width) {
    int64_t column = 0;
    for (; column + COLUMNS * LANES <= width; column += COLUMNS * LANES) columns<COLUMNS>(p, rows, column);
    if constexpr (COLUMNS > 2)
        for (; column + 2 * LANES <= width; column += 2 * LANES) columns<2>(p, rows, column);
    for (; column < width; column += LANES) columns<1>(p, rows, column);
}

// to[j][i] = from[i][j], and 0 for i from `rows` to `to_row`; both wide enough for whole blocks
static void transpose(const float *from, int64_t from_row, int64_t rows, int64_t width, float *to, int64_t to_row) {
    for (int64_t row = 0; row < to_row; row += LANES)
        for (int64_t column = 0; column < width; column += LANES) {
            Vector block[2][LANES];
            int64_t there = rows - row;
            for (int i = 0; i < LANES; i++)
                block[0][i] = i < there ? load(from + (row + i) * from_row + column) : Vector{};
            int now = 0;
            for (int width_done = 1; width_done < LANES; width_done *= 2, now = 1 - now)
                for (int i = 0; i < LANES / 2; i++) {
                    block[1 - now][2 * i] = lower(block[now][i], block[now][i + LANES / 2], PLACES);
                    block[1 - now][2 * i + 1] = upper(block[now][i], block[now][i + LANES / 2], PLACES);
                }
            for (int i = 0; i < LANES; i++) store(to + (column + i) * to_row + row, block[now][i]);
        }
}

// ---- what native.py hands over

enum Activation : int64_t {
    IDENTITY, LINEAR, RELU, LEAKY_RELU, SIGMOID, TANH, ELU, SELU, SOFTPLUS, SOFTSIGN, HARD_SIGMOID, HARD_TANH, RELU6
};
enum Loss : int64_t { CROSS_ENTROPY, BINARY_CROSS_ENTROPY, SQUARED_ERROR };
enum Rule : int64_t { SGD, MOMENTUM, NESTEROV, ADAGRAD, RMSPROP, ADADELTA, ADAM, SIMPLE_NADAM, GRADIENTS_ONLY };

struct Tensors {  // of all members, one after another; the rule's state where it has any
    float *values, *state[2], *gradients;
};

struct Layer {
    int64_t inputs, units, activation;
    double number;  // of the activation
    Tensors weights, biases;
    const double *dropout;       // rates (members), or none
    const int64_t *noise_seeds;  // (members)
};

struct Stack {
    int64_t members, layers;
    Layer *layer;
    int64_t loss;
    double smoothing, error_scale;  // of squared error: on Σ (p − t)²
    const float *class_weights;     // or none
    int64_t rule;
    // (members) each; `rule_number` is momentum or ρ. A coupled penalty is in the gradient, others beside the update
    const double *rule_number, *beta1, *beta2, *epsilon, *decays, *l1;
    int64_t is_coupled;
    double *running;          // mean of losses that decay is multiplied with, or none; less than 0 before the first update
    double running_share;     // of the past in it
    double clip_norm, clip_value;  // 0: none
    int64_t stops_at_failure;      // a loss that is not finite moves nothing
};

struct Rows {
    const float *inputs;
    int64_t input_member;    // from one member's inputs to the next one's; 0 where all share them
    const void *targets;     // int64 classes, or float32 values: one a row for two classes, else one for each unit
    int64_t target_member;
    const float *weights;    // of rows, or none
    int64_t weight_member;
    const int64_t *order;    // row numbers
    int64_t order_member;
    int64_t rows, batch;
    const double *rates;     // (updates, members)
    int64_t step;            // number of the first update, which noise is drawn by
    int64_t updates_before;  // that the rule has made
    float *losses;           // (members, updates)
    float *outputs;          // of the latest batch, (rows, units), or none
    float *work;
};

INLINE bool is_few(const Layer &layer) { return layer.units <= FEW; }
INLINE int64_t weights_of(const Layer &layer) {
    return is_few(layer) ? layer.units * wide(layer.inputs) : layer.inputs * wide(layer.units);
}
INLINE int64_t row_of(const Layer &layer) { return layer.units == 1 ? 1 : wide(layer.units); }
INLINE int64_t room(int64_t floats) { return wide(floats) + WIDE; }

// Where one member's pass is made.
struct Pass {
    static constexpr int MOST_LAYERS = 64;
    float *inputs, *a[MOST_LAYERS], *kept[MOST_LAYERS], *dropped[MOST_LAYERS], *delta[MOST_LAYERS], *weights[MOST_LAYERS], *biases[MOST_LAYERS], *turned, *labels;
    const float *w[MOST_LAYERS], *b[MOST_LAYERS];
    int64_t floats;

    Pass(const Stack &stack, int64_t rows, float *work, bool trains) {
        floats = 0;
        auto take = [&](int64_t count) {
            float *found = work ? work + floats : nullptr;
            floats += room(count);
            return found;
        };
        int64_t most = 0;
        inputs = take(rows * stack.layer[0].inputs);
        for (int64_t l = 0; l < stack.layers; l++) {
            const Layer &layer = stack.layer[l];
            a[l] = dropped[l] = take(rows * row_of(layer));
            kept[l] = nullptr;
            if (!trains) continue;
            if (layer.dropout) {
                kept[l] = take(rows * row_of(layer));
                dropped[l] = take(rows * row_of(layer));
            }
            delta[l] = take(rows * row_of(layer));
            weights[l] = take(weights_of(layer));
            biases[l] = take(wide(layer.units));
            if (l && !is_few(layer)) most = std::max(most, wide(layer.inputs) * wide(layer.units));
        }
        turned = take(trains ? most : 0);
        labels = take(trains ? 2 * rows * std::max<int64_t>(1, stack.layer[stack.layers - 1].units) : 0);
    }
};

// ---- activations: f, and f′ as a function of a = f(z)

template <class F> INLINE void each(float *values, int64_t count, F change) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) store(values + i, change(load(values + i)));
    if (i < count) {
        float kept[LANES] = {};
        std::memcpy(kept, values + i, (count - i) * sizeof(float));
        store(kept, change(load(kept)));
        std::memcpy(values + i, kept, (count - i) * sizeof(float));
    }
}

constexpr float SELU_FACTOR = 1.0507009873554804934193349852946f, SELU_SCALE = 1.6732632423543772848170429916717f;

static void activate(const Layer &layer, float *z, int64_t count) {
    const float number = layer.number;
    switch (layer.activation) {
    case LINEAR: return each(z, count, [=](Vector v) { return v * number; });
    case RELU: return each(z, count, [](Vector v) { return v <= Vector{} ? Vector{} : v; });
    case LEAKY_RELU: return each(z, count, [=](Vector v) { return v < Vector{} ? v * number : v; });
    case SIGMOID: return each(z, count, [](Vector v) { return sigmoid(v); });
    case TANH: return each(z, count, [](Vector v) { return tanh_of(v); });
    case ELU: return each(z, count, [=](Vector v) { return v < Vector{} ? number * exponential_less_one(v) : v; });
    case SELU:
        return each(z, count, [](Vector v) {
            return SELU_FACTOR * (v < Vector{} ? SELU_SCALE * exponential_less_one(v) : v);
        });
    case SOFTPLUS: return each(z, count, [](Vector v) { return softplus(v); });
    case SOFTSIGN: return each(z, count, [](Vector v) { return v / (1.0f + magnitude(v)); });
    case HARD_SIGMOID:
        return each(z, count, [](Vector v) { return smaller(larger(v + 3.0f, Vector{}), all(6.0f)) / 6.0f; });
    case HARD_TANH: return each(z, count, [](Vector v) { return smaller(larger(v, all(-1.0f)), all(1.0f)); });
    case RELU6: return each(z, count, [](Vector v) { return smaller(larger(v, Vector{}), all(6.0f)); });
    }
}

// δ ← δ ⊙ f′
static void go_back(const Layer &layer, const float *a, float *delta, int64_t count) {
    const float number = layer.number;
    auto times = [=](auto slope) {
        for (int64_t i = 0; i < count; i += LANES)  // memory is wide enough for whole vectors
            store(delta + i, load(delta + i) * slope(load(a + i)));
    };
    switch (layer.activation) {
    case LINEAR: return times([=](Vector) { return all(number); });
    case RELU: return times([](Vector v) { return v > Vector{} ? all(1.0f) : Vector{}; });
    case LEAKY_RELU: return times([=](Vector v) { return v > Vector{} ? all(1.0f) : all(number); });
    case SIGMOID: return times([](Vector v) { return v * (1.0f - v); });
    case TANH: return times([](Vector v) { return 1.0f - v * v; });
    case ELU: return times([=](Vector v) { return v > Vector{} ? all(1.0f) : v + number; });
    case SELU:
        return times([](Vector v) { return v > Vector{} ? all(SELU_FACTOR) : v + SELU_FACTOR * SELU_SCALE; });
    case SOFTPLUS: return times([](Vector v) { return -exponential_less_one(-v); });
    case SOFTSIGN: return times([](Vector v) { return (1.0f - magnitude(v)) * (1.0f - magnitude(v)); });
    case HARD_SIGMOID: return times([](Vector v) { return (v > Vector{}) & (v < 1.0f) ? all(1.0f / 6.0f) : Vector{}; });
    case HARD_TANH: return times([](Vector v) { return magnitude(v) < 1.0f ? all(1.0f) : Vector{}; });
    case RELU6: return times([](Vector v) { return (v > Vector{}) & (v < 6.0f) ? all(1.0f) : Vector{}; });
    }
}

// ---- dropout, as nn/noise.py draws it

static uint64_t finalise(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t mix(uint64_t seed, uint64_t counter) {
    constexpr uint64_t GOLDEN = 0x9E3779B97F4A7C15u;
    return finalise(finalise((finalise(seed + GOLDEN) ^ counter) + GOLDEN)) >> 1;
}

typedef uint32_t Bits __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static void draw(double rate, int64_t seed, int64_t step, int64_t rows, int64_t units, int64_t row, float *kept) {
    const uint64_t key = mix(seed, step);
    const uint32_t low = static_cast<uint32_t>(key), high = static_cast<uint32_t>(key >> 32);
    const int32_t most = static_cast<int32_t>(std::min<int64_t>(static_cast<int64_t>((1 - rate) * 4294967296.0) - 2147483648, 2147483647));
    const Vector value = all(static_cast<float>(1 / (1 - rate)));
    const int64_t lines = row == 1 ? 1 : rows, line = row == 1 ? rows : row;
    for (int64_t r = 0; r < lines; r++)
        for (int64_t u = 0; u < line; u += LANES) {
            Bits x = reinterpret_cast<Bits>(counting(r * units + u, PLACES)) + low;
            x = (x ^ (x >> 16)) * 0x7FEB352Du ^ high;
            x = (x ^ (x >> 15)) * 0x846CA68Bu;
            x ^= x >> 16;
            store(kept + r * line + u, reinterpret_cast<Whole>(x) < most ? value : Vector{});
        }
}

static void drop_out(const Stack &stack, const Pass &pass, int64_t layer, int64_t member, int64_t step, int64_t rows) {
    const Layer &own = stack.layer[layer];
    const int64_t row = row_of(own);
    draw(own.dropout[member], own.noise_seeds[member], step, rows, own.units, row, pass.kept[layer]);
    for (int64_t i = 0; i < rows * row; i += LANES) store(pass.dropped[layer] + i, load(pass.a[layer] + i) * load(pass.kept[layer] + i));
}

// ---- forward

// `step` is the number of the update, whose noise is drawn; less than 0 in prediction
static void forward(const Stack &stack, const Pass &pass, int64_t rows, int64_t member, int64_t step) {
    const float *x = pass.inputs;
    int64_t x_row = stack.layer[0].inputs;
    for (int64_t l = 0; l < stack.layers; l++) {
        const Layer &layer = stack.layer[l];
        float *z = pass.a[l];
        int64_t row = row_of(layer);
        if (is_few(layer)) {
            const int64_t inputs = layer.inputs, width = wide(inputs);
            const int64_t whole = l && x_row > 1 ? width : inputs / LANES * LANES;  // what is filled up has weights of 0
            if (row > 1) std::memset(z, 0, rows * row * sizeof(float));
            for (int64_t r = 0; r < rows; r++)
                for (int64_t u = 0; u < layer.units; u++) {
                    const float *left = x + r * x_row, *right = pass.w[l] + u * width;
                    Vector total = {};
                    for (int64_t i = 0; i < whole; i += LANES) total += load(left + i) * load(right + i);
                    float found = pass.b[l][u] + sum(total);
                    for (int64_t i = whole; i < inputs; i++) found += left[i] * right[i];
                    z[r * row + u] = found;
                }
        } else {
            multiply({layer.inputs, x, x_row, 1, pass.w[l], wide(layer.units), z, row, pass.b[l]}, rows, wide(layer.units));
        }
        activate(layer, z, rows * row);
        if (step >= 0 && pass.kept[l]) drop_out(stack, pass, l, member, step, rows);
        x = pass.dropped[l], x_row = row;
    }
}

// ---- the loss of a batch, and δ of the output layer

static double cross_entropy(const Stack &stack, const Pass &pass, const int64_t *targets, const float *weights, int64_t rows) {
    const Layer &last = stack.layer[stack.layers - 1];
    const int64_t classes = last.units, width = wide(classes);
    const float share = 1.0f / rows, rest = stack.smoothing / classes, hit = 1 - stack.smoothing;
    float *sums = pass.labels, *picked = pass.labels + wide(rows);  // Σ e^z and Σ t z of each row, less the largest z
    const float *z = pass.a[stack.layers - 1];
    float *delta = pass.delta[stack.layers - 1];
    for (int64_t r = 0; r < rows; r++, z += width, delta += width) {
        Vector top = all(-__builtin_inff());
        for (int64_t u = 0; u < width; u += LANES)
            top = larger(top, counting(u, PLACES) < static_cast<int32_t>(classes) ? load(z + u) : all(-1e30f));
        const float most = largest(top);
        const int64_t target = targets[r];
        Vector total = {}, together = {};
        for (int64_t u = 0; u < width; u += LANES) {
            const auto is_class = counting(u, PLACES) < static_cast<int32_t>(classes);
            Vector shown = load(z + u) - most, e = is_class ? exponential(shown) : Vector{};
            store(delta + u, e);
            total += e;
            if (rest != 0) together += is_class ? shown : Vector{};
        }
        sums[r] = sum(total);
        picked[r] = hit * (z[target] - most) + (rest != 0 ? rest * sum(together) : 0);
        const float weight = share * (weights ? weights[r] : 1.0f) * (stack.class_weights ? stack.class_weights[target] : 1.0f);
        const float scale = weight / sums[r];
        for (int64_t u = 0; u < width; u += LANES) {  // p − t
            const Whole number = counting(u, PLACES);
            const Vector wanted = number == static_cast<int32_t>(target) ? all(weight * (hit + rest)) : all(weight * rest);
            const Vector found = load(delta + u) * scale - wanted;
            store(delta + u, number < static_cast<int32_t>(classes) ? found : Vector{});
        }
    }
    double loss = 0;
    for (int64_t r = 0; r < rows; r += LANES) {
        Vector each = logarithm(load(sums + r)) - load(picked + r);
        for (int i = 0; i < LANES && r + i < rows; i++) {
            float weight = weights ? weights[r + i] : 1.0f;
            if (stack.class_weights) weight *= stack.class_weights[targets[r + i]];
            loss += static_cast<double>(each[i] * weight);
        }
    }
    return loss / rows;
}

static double binary_cross_entropy(const Stack &stack, const Pass &pass, const int64_t *targets, const float *weights, int64_t rows) {
    const float share = 1.0f / rows, hit = 1 - stack.smoothing, rest = stack.smoothing / 2;
    float *z = pass.a[stack.layers - 1], *delta = pass.delta[stack.layers - 1];
    float *true_ = pass.labels, *factors = pass.labels + wide(rows);
    for (int64_t r = 0; r < rows; r++) {
        true_[r] = hit * targets[r] + rest;
        factors[r] = (weights ? weights[r] : 1.0f) * (stack.class_weights ? stack.class_weights[targets[r]] : 1.0f);
    }
    double loss = 0;
    for (int64_t r = 0; r < rows; r += LANES) {
        Vector value = load(z + r), wanted = load(true_ + r), factor = load(factors + r);
        Vector size = magnitude(value), small = exponential(-size);
        Vector each = (larger(value, Vector{}) - value * wanted + log_of_one_and(small)) * factor;
        Vector probability = (value < Vector{} ? small : all(1.0f)) / (1.0f + small);
        store(delta + r, (probability - wanted) * factor * share);
        for (int i = 0; i < LANES && r + i < rows; i++) loss += static_cast<double>(each[i]);
    }
    return loss / rows;
}

static double squared_error(const Stack &stack, const Pass &pass, const float *weights, int64_t rows) {
    const Layer &last = stack.layer[stack.layers - 1];
    const int64_t row = row_of(last);
    const float *z = pass.a[stack.layers - 1], *targets = pass.labels;
    float *delta = pass.delta[stack.layers - 1];
    const double share = 2 * stack.error_scale / rows;
    double loss = 0;
    for (int64_t r = 0; r < rows; r++) {
        const float weight = weights ? weights[r] : 1.0f;
        double own = 0;
        for (int64_t u = 0; u < last.units; u++) {
            const float error = z[r * row + u] - targets[r * last.units + u];
            own += static_cast<double>(error) * error;
            delta[r * row + u] = error * weight * static_cast<float>(share);
        }
        for (int64_t u = last.units; u < row; u++) delta[r * row + u] = 0;
        loss += own * weight;
    }
    return loss * stack.error_scale / rows;
}

// ---- backward: the gradients of one member

static void backward(const Stack &stack, const Pass &pass, int64_t rows) {
    for (int64_t l = stack.layers - 1; l >= 0; l--) {
        const Layer &layer = stack.layer[l];
        const float *x = l ? pass.dropped[l - 1] : pass.inputs, *delta = pass.delta[l];
        const int64_t x_row = l ? row_of(stack.layer[l - 1]) : layer.inputs, row = row_of(layer);
        if (is_few(layer)) {  // (units, rows) · (rows, inputs); x is read in whole vectors, beyond its row
            const int64_t width = wide(layer.inputs);
            multiply({rows, delta, 1, row, x, x_row, pass.weights[l], width, nullptr}, layer.units, width);
            for (int64_t u = 0; u < layer.units; u++)
                for (int64_t i = layer.inputs; i < width; i++) pass.weights[l][u * width + i] = 0;
        } else {
            multiply({rows, x, 1, x_row, delta, row, pass.weights[l], wide(layer.units), nullptr}, layer.inputs, wide(layer.units));
        }
        if (row == 1) {
            Vector total = {};
            int64_t r = 0;
            for (; r + LANES <= rows; r += LANES) total += load(delta + r);
            float found = sum(total);
            for (; r < rows; r++) found += delta[r];
            std::memset(pass.biases[l], 0, WIDE * sizeof(float));
            pass.biases[l][0] = found;
        } else {
            for (int64_t u = 0; u < row; u += LANES) {
                Vector totals[4] = {};  // four sums do not wait for each other
                int64_t r = 0;
                for (; r + 4 <= rows; r += 4)
                    for (int k = 0; k < 4; k++) totals[k] += load(delta + (r + k) * row + u);
                for (; r < rows; r++) totals[0] += load(delta + r * row + u);
                store(pass.biases[l] + u, (totals[0] + totals[1]) + (totals[2] + totals[3]));
            }
        }
        if (!l) break;
        const Layer &before = stack.layer[l - 1];
        const int64_t before_row = row_of(before), width = wide(layer.inputs);
        const float *w = pass.w[l];
        if (before_row == 1) {  // one unit before: δ · w for each row
            for (int64_t r = 0; r < rows; r++) {
                float found = 0;
                for (int64_t u = 0; u < layer.units; u++) found += delta[r * row + u] * (is_few(layer) ? w[u * width] : w[u]);
                pass.delta[l - 1][r] = found;
            }
        } else {
            if (!is_few(layer)) {
                transpose(w, wide(layer.units), layer.inputs, wide(layer.units), pass.turned, width);
                w = pass.turned;
            }
            multiply({layer.units, delta, row, 1, w, width, pass.delta[l - 1], before_row, nullptr}, rows, before_row);
        }
        if (pass.kept[l - 1])
            for (int64_t i = 0; i < rows * before_row; i += LANES)
                store(pass.delta[l - 1] + i, load(pass.delta[l - 1] + i) * load(pass.kept[l - 1] + i));
        go_back(before, pass.a[l - 1], pass.delta[l - 1], rows * before_row);
    }
}

// ---- update rules, as optim/explicit.py has them

struct Numbers {  // of one member at one update
    float rate, number, beta1, beta2, epsilon, of_average, of_square;
    float but_number, but_beta1, but_beta2;  // 1 less each, from float64: 1 − 0.999 in float32 has five digits
    float decay, shrink;    // λ in the gradient; what weights are multiplied with beside the update
    float l1, threshold;    // likewise: in the gradient; what weights are moved towards 0 by
};

INLINE Vector sign(Vector v) { return v > Vector{} ? all(1.0f) : v < Vector{} ? all(-1.0f) : Vector{}; }
INLINE Vector towards_zero(Vector v, float by) {
    Vector left = magnitude(v) - by;
    return left <= 0.0f ? Vector{} : (v < Vector{} ? -left : left);  // what is no number stays none
}

template <int64_t RULE, bool HAS_L1> INLINE void move_all(const Numbers &n, int64_t count, float *values, float *const *state, const float *gradients) {
    for (int64_t i = 0; i < count; i += LANES) {
        Vector x = load(values + i) * n.shrink, g = load(gradients + i), side = {};
        if constexpr (HAS_L1)
            if (n.l1 > 0) {  // at 0 the shortest gradient; `side` of 0 is where the weight has to stay
                Vector shortest = towards_zero(g, n.l1);
                side = x == 0.0f ? -sign(shortest) : sign(x);
                g = x == 0.0f ? shortest : g + sign(x) * n.l1;
            }
        g += x * n.decay;
        if constexpr (RULE == SGD) {
            x -= g * n.rate;
        } else if constexpr (RULE == MOMENTUM || RULE == NESTEROV) {
            Vector velocity = load(state[0] + i) * n.number + g;
            store(state[0] + i, velocity);
            x -= (RULE == NESTEROV ? g + velocity * n.number : velocity) * n.rate;
        } else if constexpr (RULE == ADAGRAD || RULE == RMSPROP) {
            Vector total = RULE == ADAGRAD ? load(state[0] + i) + g * g : load(state[0] + i) * n.number + g * g * n.but_number;
            store(state[0] + i, total);
            x -= g / (root(total) + n.epsilon) * n.rate;
        } else if constexpr (RULE == ADADELTA) {
            Vector square = load(state[0] + i) * n.number + g * g * n.but_number, past = load(state[1] + i);
            Vector step = root(past + n.epsilon) / root(square + n.epsilon) * g;
            store(state[0] + i, square);
            store(state[1] + i, past * n.number + step * step * n.but_number);
            x -= step * n.rate;
        } else {
            Vector average = load(state[0] + i) * n.beta1 + g * n.but_beta1;
            Vector square = load(state[1] + i) * n.beta2 + g * g * n.but_beta2;
            store(state[0] + i, average);
            store(state[1] + i, square);
            Vector ahead = RULE == SIMPLE_NADAM ? average * n.beta1 + g * n.but_beta1 : average;
            x -= ahead * n.of_average / (root(square) * n.of_square + n.epsilon);
        }
        if constexpr (HAS_L1) {
            if (n.l1 > 0) x = x * side <= 0.0f ? Vector{} : x;
            x = towards_zero(x, n.threshold);
        }
        store(values + i, x);
    }
}

template <int64_t RULE> static void move(const Numbers &n, int64_t count, float *values, float *const *state, const float *gradients) {
    if (n.l1 > 0 || n.threshold > 0) move_all<RULE, true>(n, count, values, state, gradients);
    else move_all<RULE, false>(n, count, values, state, gradients);
}

static void apply(int64_t rule, const Numbers &n, int64_t count, const Tensors &t, int64_t place, const float *gradients) {
    float *values = t.values + place, *state[2] = {t.state[0] ? t.state[0] + place : nullptr, t.state[1] ? t.state[1] + place : nullptr};
    switch (rule) {
    case SGD: return move<SGD>(n, count, values, state, gradients);
    case MOMENTUM: return move<MOMENTUM>(n, count, values, state, gradients);
    case NESTEROV: return move<NESTEROV>(n, count, values, state, gradients);
    case ADAGRAD: return move<ADAGRAD>(n, count, values, state, gradients);
    case RMSPROP: return move<RMSPROP>(n, count, values, state, gradients);
    case ADADELTA: return move<ADADELTA>(n, count, values, state, gradients);
    case ADAM: return move<ADAM>(n, count, values, state, gradients);
    case SIMPLE_NADAM: return move<SIMPLE_NADAM>(n, count, values, state, gradients);
    }
}

static void clip(const Stack &stack, const Pass &pass) {
    auto all_gradients = [&](auto change) {
        for (int64_t l = 0; l < stack.layers; l++) {
            each(pass.weights[l], weights_of(stack.layer[l]), change);
            each(pass.biases[l], wide(stack.layer[l].units), change);
        }
    };
    if (stack.clip_value > 0) {
        const Vector most = all(stack.clip_value);
        all_gradients([=](Vector g) { return g > most ? most : g < -most ? -most : g; });
    }
    if (stack.clip_norm > 0) {
        double square = 0;
        all_gradients([&](Vector g) { return square += sum(g * g), g; });
        const double factor = stack.clip_norm / (std::sqrt(square) + 1e-6);
        if (factor < 1) all_gradients([=](Vector g) { return g * static_cast<float>(factor); });
    }
}

static void keep_gradients(const Stack &stack, const Pass &pass, int64_t member) {
    for (int64_t l = 0; l < stack.layers; l++) {
        const Layer &layer = stack.layer[l];
        const int64_t weights = weights_of(layer), units = wide(layer.units);
        std::memcpy(layer.weights.gradients + member * weights, pass.weights[l], weights * sizeof(float));
        std::memcpy(layer.biases.gradients + member * units, pass.biases[l], units * sizeof(float));
    }
}

static void update(const Stack &stack, const Pass &pass, int64_t member, double rate, int64_t number, double loss) {
    if (stack.rule == GRADIENTS_ONLY) return keep_gradients(stack, pass, member);
    clip(stack, pass);
    double decay = stack.decays[member];
    if (stack.running) {
        double &running = stack.running[member];
        running = (running < 0 ? std::fmin(loss, 1.0) : running) * stack.running_share + (1 - stack.running_share) * loss;
        decay *= std::fmin(running, 1.0);
    }
    const double beta1 = stack.beta1[member], beta2 = stack.beta2[member];
    Numbers n = {};
    n.rate = rate, n.number = stack.rule_number[member], n.beta1 = beta1, n.beta2 = beta2;
    n.but_number = 1 - stack.rule_number[member], n.but_beta1 = 1 - beta1, n.but_beta2 = 1 - beta2;
    n.epsilon = stack.epsilon[member], n.shrink = 1;
    n.of_average = rate / (1 - std::pow(beta1, number));
    n.of_square = 1 / std::sqrt(1 - std::pow(beta2, number));
    const Numbers of_biases = n;  // which are not penalised
    if (stack.is_coupled) n.decay = decay, n.l1 = stack.l1[member];
    else n.shrink = 1 - rate * decay, n.threshold = rate * stack.l1[member];
    for (int64_t l = 0; l < stack.layers; l++) {
        const Layer &layer = stack.layer[l];
        const int64_t weights = weights_of(layer), units = wide(layer.units);
        apply(stack.rule, n, weights, layer.weights, member * weights, pass.weights[l]);
        apply(stack.rule, of_biases, units, layer.biases, member * units, pass.biases[l]);
    }
}

// ---- what is called from Python

static void bind(const Stack &stack, Pass &pass, int64_t member) {
    for (int64_t l = 0; l < stack.layers; l++) {
        pass.w[l] = stack.layer[l].weights.values + member * weights_of(stack.layer[l]);
        pass.b[l] = stack.layer[l].biases.values + member * wide(stack.layer[l].units);
    }
}

static void gather(const Stack &stack, const Pass &pass, const float *inputs, const int64_t *order, int64_t rows) {
    const int64_t width = stack.layer[0].inputs;
    for (int64_t r = 0; r < rows; r++) std::memcpy(pass.inputs + r * width, inputs + order[r] * width, width * sizeof(float));
}

// The classes of a batch. A row of none of them gets a weight that is no number, and so does the loss; returns the weights.
static const float *take_classes(const int64_t *targets, const int64_t *order, int64_t rows, int64_t count, int64_t *classes,
                                 const float *own, float *weights) {
    for (int64_t r = 0; r < rows; r++) {
        classes[r] = targets[order[r]];
        if (0 <= classes[r] && classes[r] < count) continue;
        if (!own) std::fill_n(weights, rows, 1.0f);
        own = weights, weights[r] = __builtin_nanf(""), classes[r] = 0;
    }
    return own;
}

static void train_member(const Stack &stack, const Rows &given, Pass &pass, int64_t member, int64_t *classes, float *weights) {
    bind(stack, pass, member);
    const int64_t updates = (given.rows + given.batch - 1) / given.batch, units = stack.layer[stack.layers - 1].units;
    const int64_t *order = given.order + member * given.order_member;
    const float *inputs = given.inputs + member * given.input_member;
    for (int64_t u = 0; u < updates; u++, order += given.batch) {
        const int64_t rows = std::min(given.batch, given.rows - u * given.batch);
        gather(stack, pass, inputs, order, rows);
        const float *own = nullptr;
        if (given.weights) {
            for (int64_t r = 0; r < rows; r++) weights[r] = given.weights[member * given.weight_member + order[r]];
            own = weights;
        }
        forward(stack, pass, rows, member, given.step + u);
        double loss;
        if (stack.loss == SQUARED_ERROR) {
            const float *targets = static_cast<const float *>(given.targets) + member * given.target_member;
            for (int64_t r = 0; r < rows; r++) std::memcpy(pass.labels + r * units, targets + order[r] * units, units * sizeof(float));
            loss = squared_error(stack, pass, own, rows);
        } else {
            const int64_t *targets = static_cast<const int64_t *>(given.targets) + member * given.target_member;
            own = take_classes(targets, order, rows, stack.loss == CROSS_ENTROPY ? units : 2, classes, own, weights);
            loss = stack.loss == CROSS_ENTROPY ? cross_entropy(stack, pass, classes, own, rows)
                                               : binary_cross_entropy(stack, pass, classes, own, rows);
        }
        given.losses[member * updates + u] = loss;
        if (given.outputs) {
            const int64_t row = row_of(stack.layer[stack.layers - 1]);
            for (int64_t r = 0; r < rows; r++)
                std::memcpy(given.outputs + r * units, pass.a[stack.layers - 1] + r * row, units * sizeof(float));
        }
        if (stack.stops_at_failure && !std::isfinite(loss)) return;
        backward(stack, pass, rows);
        update(stack, pass, member, given.rates[u * stack.members + member], given.updates_before + u + 1, loss);
    }
}

extern "C" {

// The floats that `train` and `answer` need in `work`.
int64_t work_floats(const Stack *stack, int64_t batch) {
    const int64_t training = Pass(*stack, batch, nullptr, true).floats + 3 * room(batch);
    return std::max(training, Pass(*stack, AT_ONCE, nullptr, false).floats) + 2 * WIDE;
}

// Make the updates of an epoch, one member after another.
void train(const Stack *stack, const Rows *rows) {
    Pass pass(*stack, rows->batch, rows->work, true);
    auto *classes = reinterpret_cast<int64_t *>(rows->work + pass.floats);
    float *weights = rows->work + pass.floats + 2 * room(rows->batch);
    for (int64_t member = 0; member < stack->members; member++) train_member(*stack, *rows, pass, member, classes, weights);
}

// What every member answers to some rows, as in prediction: outputs (members, rows, units).
void answer(const Stack *stack, const Rows *given, float *outputs) {
    Pass pass(*stack, AT_ONCE, given->work, false);
    const int64_t units = stack->layer[stack->layers - 1].units, row = row_of(stack->layer[stack->layers - 1]);
    for (int64_t member = 0; member < stack->members; member++) {
        bind(*stack, pass, member);
        const float *inputs = given->inputs + member * given->input_member;
        for (int64_t first = 0; first < given->rows; first += AT_ONCE) {
            const int64_t rows = std::min<int64_t>(AT_ONCE, given->rows - first);
            gather(*stack, pass, inputs, given->order + first, rows);
            forward(*stack, pass, rows, member, -1);
            const float *z = pass.a[stack->layers - 1];
            for (int64_t r = 0; r < rows; r++, outputs += units) std::memcpy(outputs, z + r * row, units * sizeof(float));
        }
    }
}
}

// Vectors of VW floats by the compiler's vector extensions: 16 (AVX-512), 8 (AVX2) or 4 (SSE2, NEON, WebAssembly).
// The only file that knows an instruction set. Included inside the namespace of one translation unit.
#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef float vf __attribute__((vector_size(VW * 4), aligned(4), may_alias));
typedef i32 vi __attribute__((vector_size(VW * 4), aligned(4), may_alias));
typedef u32 vu __attribute__((vector_size(VW * 4), aligned(4), may_alias));

/** Native vectors in a block of the layout. */
enum { BV = LANES / VW };

INLINE vf load(const float* p) { return *(const vf*)p; }
INLINE void store(float* p, vf v) { *(vf*)p = v; }
INLINE vf broadcast(float x) { return x - vf{}; }
INLINE vi broadcast(i32 x) { return x - vi{}; }
/** The same bits as the other type. */
INLINE vf asFloats(vi x) { return (vf)x; }
INLINE vi asInts(vf x) { return (vi)x; }

#ifdef UNROLLED_RELAXED
INLINE vf fma(vf a, vf b, vf c) { return (vf)__builtin_wasm_relaxed_madd_f32x4(a, b, c); }
INLINE vf fnma(vf a, vf b, vf c) { return (vf)__builtin_wasm_relaxed_nmadd_f32x4(a, b, c); }
#else
// One instruction where the target has it (-ffp-contract=fast).
INLINE vf fma(vf a, vf b, vf c) { return a * b + c; }
INLINE vf fnma(vf a, vf b, vf c) { return c - a * b; }
#endif

/** Bit patterns of any float may come here, so the sum wraps. */
INLINE vi wrappingAdd(vi a, i32 b) { return (vi)((vu)a + (u32)b); }

INLINE vf select(vi mask, vf a, vf b) { return mask ? a : b; }
#ifdef UNROLLED_RELAXED
// A comparison and a choice between the same two operands would become a relaxed minimum or maximum, which may lose a NaN.
INLINE vf choose(vi mask, vf a, vf b) {
  __asm__("" : "+r"(mask));
  return asFloats((mask & asInts(a)) | (~mask & asInts(b)));
}
#else
INLINE vf choose(vi mask, vf a, vf b) { return mask ? a : b; }
#endif
/** Within low and high; a NaN in x comes through, by the order of the operands. */
INLINE vf clamp(vf x, float low, float high) {
  x = choose(broadcast(low) > x, broadcast(low), x);
  return choose(broadcast(high) < x, broadcast(high), x);
}
INLINE vf absolute(vf x) { return asFloats(asInts(x) & 0x7fffffff); }
INLINE vf withSign(vf magnitude, vf sign) { return asFloats((asInts(magnitude) & 0x7fffffff) | (asInts(sign) & (i32)0x80000000)); }
INLINE vf toFloat(vi x) { return __builtin_convertvector(x, vf); }
/** Towards zero; x must fit. */
INLINE vi toInt(vf x) { return __builtin_convertvector(x, vi); }

/** Words of 32 bits in lanes of 64, for products of full width. */
typedef u64 vl __attribute__((vector_size(VW * 4), aligned(4), may_alias));
/** The product of the low halves of the lanes with a word; what stands in the high halves does not count. */
INLINE vl wideProduct(vl a, u32 b) {
#if !defined(__clang__) && defined(__AVX512F__) && VW == 16
  typedef i32 ints __attribute__((vector_size(64)));
  typedef long long longs __attribute__((vector_size(64)));
  return (vl)__builtin_ia32_pmuludq512_mask((ints)a, (ints)(vl{} + b), longs{}, (unsigned char)-1);
#elif !defined(__clang__) && defined(__AVX2__) && VW == 8
  typedef i32 ints __attribute__((vector_size(32)));
  return (vl)__builtin_ia32_pmuludq256((ints)a, (ints)(vl{} + b));
#elif !defined(__clang__) && defined(__SSE2__) && VW == 4
  typedef i32 ints __attribute__((vector_size(16)));
  return (vl)__builtin_ia32_pmuludq128((ints)a, (ints)(vl{} + b));
#else
  return (a & 0xffffffffu) * (u64)b;
#endif
}

/** Four integers, on every host: the smallest vector that all have. */
typedef i32 vi4 __attribute__((vector_size(16), aligned(4), may_alias));
#if defined(__clang__)
#define SHUFFLE4(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define SHUFFLE4(a, b, i, j, k, l) __builtin_shuffle(a, b, (vi4){i, j, k, l})
#endif

INLINE vf squareRoot(vf x) {
#if defined(__clang__)
  return __builtin_elementwise_sqrt(x);
#elif defined(__AVX512F__) && VW == 16
  return __builtin_ia32_sqrtps512_mask(x, x, (short)-1, 4);
#elif defined(__AVX2__) && VW == 8
  return __builtin_ia32_sqrtps256(x);
#elif defined(__SSE2__) && VW == 4
  return __builtin_ia32_sqrtps(x);
#else
  for (int i = 0; i < VW; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

/** The sum of the lanes, halves first, so that it is the same on every host of one width. */
INLINE float sumLanes(vf v) {
  float t[VW];
  __builtin_memcpy(t, &v, sizeof t);
  for (int half = VW / 2; half; half /= 2)
    for (int i = 0; i < half; i++) t[i] += t[i + half];
  return t[0];
}

// ---- bfloat16: the upper half of a float. Two stand in one lane, the first in the lower half (a pair); a vf then only carries their bits.

typedef unsigned short u16;

/** The nearest bfloat16, ties to even; a NaN stays one. */
INLINE u32 roundBfloat16(float x) {
  u32 bits;
  __builtin_memcpy(&bits, &x, 4);
  return (bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16) | 0x40 : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}
INLINE vf broadcastPair(const float* pair) {
  i32 bits;
  __builtin_memcpy(&bits, pair, 4);
  return asFloats(broadcast(bits));
}

#ifdef __AVX512BF16__
// By name, because the builtins have other types in every compiler. Subnormal numbers count as zero here.
INLINE vf dotPairs(vf a, vf b, vf sum) {
  __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
}
INLINE vf pairsOf(vf low, vf high) {
  typedef u16 v32 __attribute__((vector_size(64)));
  const v32 order = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  vf pairs;
  __asm__("vcvtne2ps2bf16 %1, %2, %0" : "=v"(pairs) : "v"(low), "v"(high));
  __asm__("vpermw %0, %1, %0" : "+v"(pairs) : "v"(order));
  return pairs;
}
/** Rounds neighbours. */
INLINE void roundRun(const float* x, index count, u16* out) {
  index k = 0;
  for (; k + 2 * VW <= count; k += 2 * VW) {
    vf pairs;
    __asm__("vcvtne2ps2bf16 %1, %2, %0" : "=v"(pairs) : "v"(load(x + k)), "v"(load(x + k + VW)));
    store((float*)(out + k), pairs);
  }
  for (; k < count; k++) out[k] = (u16)roundBfloat16(x[k]);
}
#else
/** The second of every pair first, as the instruction does. */
INLINE vf dotPairs(vf a, vf b, vf sum) {
  const vi mask = broadcast((i32)0xffff0000);
  sum = fma(asFloats(asInts(a) & mask), asFloats(asInts(b) & mask), sum);
  return fma(asFloats(asInts(a) << 16), asFloats(asInts(b) << 16), sum);
}
INLINE vu roundedBits(vf x) {
  const vu bits = (vu)x;
  const vu isNaN = (vu)((vi)(bits & 0x7fffffff) > broadcast((i32)0x7f800000));
  return (isNaN & (bits | 0x400000)) | (~isNaN & (bits + 0x7fff + ((bits >> 16) & 1)));
}
INLINE vf pairsOf(vf low, vf high) { return (vf)((roundedBits(low) >> 16) | (roundedBits(high) & 0xffff0000)); }
INLINE void roundRun(const float* x, index count, u16* out) {
  for (index k = 0; k < count; k++) out[k] = (u16)roundBfloat16(x[k]);
}
#endif

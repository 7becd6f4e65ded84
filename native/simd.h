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

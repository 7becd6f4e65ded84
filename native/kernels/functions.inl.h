// Functions of vectors, to about 1e-7 relative, correct at NaN (which comes through), infinities, zeros and denormals.
// Polynomials: coefficients.py, but for tanh (rational, 13 over 6, 2.4e-7). Range reductions follow Cody and Waite, "Software
// Manual for the Elementary Functions" (1980), and for sine and cosine Payne and Hanek, "Radian reduction for trigonometric functions" (1983).

/** x * 2^n for n in -252..254, by two factors, so that overflow gives infinity and underflow denormals. */
INLINE vf scaleBy(vf x, vi n) {
  vi half = n >> 1;
  return x * asFloats((half + 127) << 23) * asFloats((n - half + 127) << 23);
}

INLINE vf exponential(vf x) {
  x = clamp(x, -104.0f, 89.0f);
  const vf magic = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to whole numbers in the low bits
  vf z = fma(x, broadcast(1.442695041f), magic);
  vi n = wrappingAdd(asInts(z), -0x4b400000);
  vf whole = z - magic;
  vf r = fnma(whole, broadcast(0.693145752f), x);
  r = fnma(whole, broadcast(1.42860677e-6f), r);
  vf p = broadcast(0.0013814467f);
  p = fma(r, p, broadcast(0.008368781f));
  p = fma(r, p, broadcast(0.041668393f));
  p = fma(r, p, broadcast(0.1666652f));
  p = fma(r, p, broadcast(0.49999994f));
  p = fma(r * r, p, r) + broadcast(1.0f);
  // A NaN has a meaningless n, whose factors cannot take the NaN away.
  return scaleBy(p, n);
}

/** 2^t for t in -126..128, where 128 gives infinity. */
INLINE vf exponential2(vf t) {
  t = clamp(t, -126.0f, 128.0f);
  const vf magic = broadcast(12582912.0f);
  vf z = t + magic;
  vf f = t - (z - magic);
  vf p = fma(f, broadcast(0.0013264591f), broadcast(0.009671619f));
  p = fma(f, p, broadcast(0.05550735f));
  p = fma(f, p, broadcast(0.24022241f));
  p = fma(f, p, broadcast(0.693147f));
  p = fma(f, p, broadcast(1.0f));
  return p * asFloats(wrappingAdd(asInts(z) << 23, 127 << 23));
}

INLINE vf sigmoid(vf x) { return broadcast(1.0f) / (broadcast(1.0f) + exponential2(x * broadcast(-1.442695041f))); }

INLINE vf tangentHyperbolic(vf x) {
  x = clamp(x, -7.90531110763549805f, 7.90531110763549805f);
  vf y = x * x;
  vf p = fma(y, broadcast(-2.76076847742355e-16f), broadcast(2.00018790482477e-13f));
  p = fma(y, p, broadcast(-8.60467152213735e-11f));
  p = fma(y, p, broadcast(5.12229709037114e-08f));
  p = fma(y, p, broadcast(1.48572235717979e-05f));
  p = fma(y, p, broadcast(6.37261928875436e-04f));
  p = fma(y, p, broadcast(4.89352455891786e-03f));
  vf q = fma(y, broadcast(1.19825839466702e-06f), broadcast(1.18534705686654e-04f));
  q = fma(y, q, broadcast(2.26843463243900e-03f));
  q = fma(y, q, broadcast(4.89352518554385e-03f));
  return x * p / q;
}

INLINE vf logarithm(vf x) {
  vi denormal = x < 1.17549435e-38f;
  vf scaled = select(denormal, x * broadcast(8388608.0f), x);
  // The exponent that leaves a mantissa in sqrt(1/2) .. sqrt(2).
  vi raw = wrappingAdd(asInts(scaled), -0x3f3504f3);
  vi exponent = raw >> 23;
  vf f = asFloats((raw & 0x7fffff) + 0x3f3504f3) - broadcast(1.0f);
  vf e = toFloat(exponent - (denormal & 23));
  vf s = f * f;
  vf p = fma(f, broadcast(0.0674664f), broadcast(-0.11675652f));
  p = fma(f, p, broadcast(0.11888162f));
  p = fma(f, p, broadcast(-0.12405589f));
  p = fma(f, p, broadcast(0.14219552f));
  p = fma(f, p, broadcast(-0.16667996f));
  p = fma(f, p, broadcast(0.20002119f));
  p = fma(f, p, broadcast(-0.2500001f));
  p = fma(f, p, broadcast(0.33333313f));
  vf y = p * f * s;
  y = fma(e, broadcast(-2.12194440e-4f), y);
  y = fnma(s, broadcast(0.5f), y);
  vf result = fma(e, broadcast(0.693359375f), f + y);
  const vf infinity = broadcast(__builtin_inff());
  result = select(x == infinity, x, result);
  result = select(x == vf{}, -infinity, result);
  // Negative numbers and NaN.
  return select(x >= vf{}, result, x - x + broadcast(__builtin_nanf("")));
}

INLINE vf logarithm1p(vf x) {
  // ln(u) with the rounding of u = 1 + x put right by a first-order term: ln(1 + x) = ln(u) + (x - (u - 1)) / u.
  vf u = broadcast(1.0f) + x;
  vf lost = select(absolute(x) < broadcast(1.0f), x - (u - broadcast(1.0f)), broadcast(1.0f) - (u - x));
  vf result = logarithm(u) + lost / u;
  result = select(u == broadcast(1.0f), x, result);
  return select((u == vf{}) | (absolute(u) == broadcast(__builtin_inff())), logarithm(u), result);
}

INLINE vf softplus(vf x) {
  vf positive = select(x <= vf{}, vf{}, x);
  return positive + logarithm1p(exponential(-absolute(x)));
}

INLINE vf errorFunction(vf x) {
  vf t = absolute(x);
  vf s = x * x;
  vf small = broadcast(7.8538615e-05f);
  small = fma(s, small, broadcast(-0.00080101937f));
  small = fma(s, small, broadcast(0.0051883277f));
  small = fma(s, small, broadcast(-0.026853813f));
  small = fma(s, small, broadcast(0.112835854f));
  small = fma(s, small, broadcast(-0.37612626f));
  small = fma(s, small, broadcast(1.1283791f)) * x;
  vf u = clamp(t, 1.0f, 4.0f);
  vf large = broadcast(-2.1697602e-05f);
  large = fma(u, large, broadcast(0.00044147248f));
  large = fma(u, large, broadcast(-0.0042052837f));
  large = fma(u, large, broadcast(0.025210338f));
  large = fma(u, large, broadcast(-0.10842209f));
  large = fma(u, large, broadcast(-0.6332164f));
  large = fma(u, large, broadcast(-1.1295803f));
  large = fma(u, large, broadcast(0.00018846728f));
  large = withSign(broadcast(1.0f) - exponential(large), x);
  return select(t > broadcast(1.0f), large, small);  // a NaN takes the polynomial in x
}

INLINE vf floorOf(vf x) {
  vi whole = ~(absolute(x) < broadcast(8388608.0f));  // large, infinite or NaN: as it is
  vf t = toFloat(toInt(select(whole, vf{}, x)));
  t = t - asFloats((t > x) & asInts(broadcast(1.0f)));
  return select(whole, x, withSign(t, x));
}

INLINE vf roundToEven(vf x) {
  vi whole = ~(absolute(x) < broadcast(8388608.0f));
  const vf magic = broadcast(8388608.0f);
  vf t = (absolute(x) + magic) - magic;
  return select(whole, x, withSign(t, x));
}

/** Towards zero; saturates, NaN gives 0. */
INLINE vi toInteger(vf x) {
  vi tooLarge = x >= broadcast(2147483648.0f);
  vi number = x == x;
  vf inside = clamp(select(number & ~tooLarge, x, vf{}), -2147483648.0f, 2147483520.0f);
  return (toInt(inside) & ~tooLarge) | (tooLarge & 0x7fffffff);
}

// ---- Rare functions: one lane at a time, in double ----

/** ln(x) / ln(2) of a positive finite double. */
static double log2Of(double x) {
  u64 b;
  __builtin_memcpy(&b, &x, 8);
  i64 e = (i64)(b >> 52) - 1023;
  b = (b & 0xfffffffffffffull) | 0x3ff0000000000000ull;
  double m;
  __builtin_memcpy(&m, &b, 8);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    e++;
  }
  double s = (m - 1) / (m + 1), q = s * s, sum = 0;
  for (int i = 17; i >= 1; i -= 2) sum = sum * q + 1.0 / i;
  return (double)e + 2 * s * sum * 1.4426950408889634;
}

/** 2^t as a float; overflow gives infinity. */
static float exp2Of(double t) {
  if (t > 130) t = 130;
  if (t < -160) t = -160;
  double n = (double)(i64)(t + (t < 0 ? -0.5 : 0.5));
  double r = (t - n) * 0.6931471805599453, sum = 1;
  for (int i = 12; i >= 1; i--) sum = sum * r / i + 1;
  u64 b = (u64)(1023 + (i64)n) << 52;
  double scale;
  __builtin_memcpy(&scale, &b, 8);
  return (float)(sum * scale);
}

/** a ** b as JavaScript has it: 1 for b = 0, NaN for |a| = 1 with infinite b. */
static float power(float a, float b) {
  const float infinity = __builtin_inff();
  if (b == 0) return 1;
  if (a != a || b != b) return a + b;
  float size = a < 0 ? -a : a;
  bool bInfinite = b == infinity || b == -infinity;
  if (bInfinite) {
    if (size == 1) return __builtin_nanf("");
    return (size > 1) == (b > 0) ? infinity : 0;
  }
  float whole = b < 0 ? -b : b;
  bool integer = whole >= 8388608.0f || whole == (float)(i32)whole;
  bool odd = integer && whole < 16777216.0f && ((i32)whole & 1);
  i32 sign;
  __builtin_memcpy(&sign, &a, 4);
  bool negative = sign < 0 && odd;
  float result;
  if (size == 0) result = b < 0 ? infinity : 0;
  else if (size == infinity) result = b > 0 ? infinity : 0;
  else if (a < 0 && !integer) return __builtin_nanf("");
  else result = exp2Of((double)b * log2Of(size));
  return negative ? -result : result;
}

/** x less the nearest multiple of pi/2, and that multiple's last two bits. */
static double reduceAngle(float x, i32& quadrant) {
  double size = x < 0 ? -(double)x : (double)x;
  double n, r;
  if (size < 65536) {
    n = (double)(i32)(size * 0.6366197723675814 + 0.5);
    r = size - n * 1.5707963267341256;  // 33 bits: exact for n below 2^20
    r -= n * 6.077100506506192e-11;
    quadrant = (i32)n & 3;
  } else {
    // 2/pi in words; the product with the 24 bits of x is kept modulo 4.
    static const u32 digits[8] = {0, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab};
    u32 b;
    __builtin_memcpy(&b, &x, 4);
    u64 m = (b & 0x7fffff) | 0x800000;
    int e = (int)((b >> 23) & 255) - 150;  // x = m * 2^e, e from -7 to 104
    int at = e + 30;                       // skips bits that stand for multiples of 4: digits[0] is the word before the point
    u32 word[3];
    for (int i = 0; i < 3; i++) {
      int k = at / 32 + i, shift = at % 32;
      word[i] = shift ? (digits[k] << shift) | (digits[k + 1] >> (32 - shift)) : digits[k];
    }
    u64 product = (m * word[0] << 32) + m * word[1] + (m * word[2] >> 32);
    quadrant = (i32)(product >> 62);
    i64 fraction = (i64)(product << 2);  // a fraction of 2^64; as a signed number it is -1/2 .. 1/2
    if (fraction < 0) quadrant = (quadrant + 1) & 3;
    r = (double)fraction * (1.5707963267948966 / 18446744073709551616.0);
  }
  return r;
}

/** Below this, the angle is taken apart as in the first case of `reduceAngle`. */
static const float nearAngle = 65536;

/** `sineOrCosine` of |x| < nearAngle, half a vector at a time: the same steps in float64. */
INLINE void sineOrCosineNear(float* to, const float* from, i32 shift) {
  typedef float floats __attribute__((vector_size(VW * 2), aligned(4), may_alias));
  typedef i32 ints __attribute__((vector_size(VW * 2), aligned(4), may_alias));
  typedef double doubles __attribute__((vector_size(VW * 4)));
  typedef i64 longs __attribute__((vector_size(VW * 4)));
  const floats x = *(const floats*)from;
  const doubles size = __builtin_convertvector((floats)((ints)x & 0x7fffffff), doubles);
  const ints n = __builtin_convertvector(size * 0.6366197723675814 + 0.5, ints);
  const doubles k = __builtin_convertvector(n, doubles);
  const doubles r = (size - k * 1.5707963267341256) - k * 6.077100506506192e-11, s = r * r;
  const doubles cosine = 1 + s * (-0.5 + s * (1.0 / 24 + s * (-1.0 / 720 + s * (1.0 / 40320 + s * (-1.0 / 3628800)))));
  const doubles sine =
      r * (1 + s * (-1.0 / 6 + s * (1.0 / 120 + s * (-1.0 / 5040 + s * (1.0 / 362880 + s * (-1.0 / 39916800))))));
  const longs quadrant = __builtin_convertvector(n + shift, longs);
  const longs odd = -(quadrant & 1);
  const floats y = __builtin_convertvector((doubles)((odd & (longs)cosine) | (~odd & (longs)sine)), floats);
  // sin(-x) = -sin(x), cos(-x) = cos(x).
  const ints turned = ((n + shift) & 2) << 30, sign = (ints)x & (i32)0x80000000;
  *(floats*)to = (floats)((ints)y ^ (shift ? turned : turned ^ sign));
}

static float sineOrCosine(float x, i32 shift) {
  if (!(x - x == 0)) return x - x;
  i32 quadrant;
  double r = reduceAngle(x, quadrant), s = r * r;
  // sin(-x) = -sin(x), cos(-x) = cos(x): the reduction is of |x|.
  bool negative = x < 0 && !shift;
  quadrant = (quadrant + shift) & 3;
  double y = quadrant & 1
                 ? 1 + s * (-0.5 + s * (1.0 / 24 + s * (-1.0 / 720 + s * (1.0 / 40320 + s * (-1.0 / 3628800)))))
                 : r * (1 + s * (-1.0 / 6 + s * (1.0 / 120 + s * (-1.0 / 5040 + s * (1.0 / 362880 + s * (-1.0 / 39916800))))));
  if (quadrant & 2) y = -y;
  if (x == 0 && !shift) return x;
  return (float)(negative ? -y : y);
}

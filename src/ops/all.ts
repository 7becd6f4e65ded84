/** Importing this file defines every operation. The engine does, because derivatives use operations that a model did not import. */
import './gather.ts';
import './matmul.ts';
import './pointwise.ts';
import './random.ts';
import './reduce.ts';
import './rows.ts';
import './scan.ts';
import './shape.ts';
import './sliding-product.ts';
import './tensor.ts';

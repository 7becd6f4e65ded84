/**
 * The messages of TensorBoard's event files, as far as they are written here: names and numbers of fields are those of TensorFlow's
 * `event.proto`, `summary.proto`, `tensor.proto`, `tensor_shape.proto`, `graph.proto`, `node_def.proto`, `attr_value.proto`, `versions.proto`.
 */
import type { Messages } from './wire/protobuf.ts';

export const messages = {
  Event: {
    wallTime: { number: 1, type: 'double' },
    step: { number: 2, type: 'int64' },
    fileVersion: { number: 3, type: 'string', oneof: true },
    graphDef: { number: 4, type: 'GraphDef' },
    summary: { number: 5, type: 'Summary' },
  },
  Summary: { value: { number: 1, type: 'Value', repeated: true } },
  Value: {
    tag: { number: 1, type: 'string' },
    tensor: { number: 8, type: 'TensorProto' },
    metadata: { number: 9, type: 'SummaryMetadata' },
  },
  SummaryMetadata: {
    pluginData: { number: 1, type: 'PluginData' },
  },
  PluginData: { pluginName: { number: 1, type: 'string' }, content: { number: 2, type: 'bytes' } },
  TensorProto: {
    dtype: { number: 1, type: 'int32' },
    tensorShape: { number: 2, type: 'TensorShapeProto' },
    tensorContent: { number: 4, type: 'bytes' },
    floatVal: { number: 5, type: 'float', repeated: 'packed' },
    stringVal: { number: 8, type: 'bytes', repeated: true },
  },
  TensorShapeProto: { dim: { number: 2, type: 'Dim', repeated: true } },
  Dim: { size: { number: 1, type: 'int64' } },
  GraphDef: {
    node: { number: 1, type: 'NodeDef', repeated: true },
    versions: { number: 4, type: 'VersionDef' },
  },
  VersionDef: { producer: { number: 1, type: 'int32' } },
  NodeDef: {
    name: { number: 1, type: 'string' },
    op: { number: 2, type: 'string' },
    input: { number: 3, type: 'string', repeated: true },
    attr: { number: 5, type: 'AttrEntry', repeated: true },
  },
  /** An entry of the map from names to values. */
  AttrEntry: { key: { number: 1, type: 'string' }, value: { number: 2, type: 'AttrValue' } },
  AttrValue: {
    list: { number: 1, type: 'ListValue' },
    i: { number: 3, type: 'int64', oneof: true },
    b: { number: 5, type: 'bool', oneof: true },
  },
  ListValue: { shape: { number: 7, type: 'TensorShapeProto', repeated: true } },
} as const satisfies Messages;

/** `DataType` of `types.proto`. */
export const dataTypes = { float: 1, double: 2, string: 7 } as const;

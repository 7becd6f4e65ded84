/**
 * Protocol buffers, written from tables: each message is a list of fields with their public numbers. Source: the encoding guide at protobuf.dev;
 * the bytes are made by @bufbuild/protobuf.
 */

type Scalar = 'bool' | 'bytes' | 'double' | 'float' | 'int32' | 'int64' | 'string';

export interface Field {
  readonly number: number;
  /** A scalar, or the name of a message of the table. Enumerations are int32. */
  readonly type: Scalar | (string & {});
  /** A list, of which `packed` ones stand together. */
  readonly repeated?: boolean | 'packed';
  /** Of several fields one is there: then it is written also where it is 0. */
  readonly oneof?: boolean;
}

/** Fields by name, for every message by name. Fields are written in the order of the table. */
export type Messages = Readonly<Record<string, Readonly<Record<string, Field>>>>;

/** A message as an object; fields that are left out are not written. */
export type MessageValue = Readonly<Record<string, unknown>>;

export type Encode = (message: string, value: MessageValue) => Uint8Array;

const varint = 0;
const fixed64 = 1;
const lengthDelimited = 2;
const fixed32 = 5;

/** Loads what writes the bytes. */
export async function protobufEncoder(messages: Messages): Promise<Encode> {
  const { BinaryWriter } = await import('@bufbuild/protobuf/wire');
  type Writer = InstanceType<typeof BinaryWriter>;

  const scalars: Record<Scalar, { readonly wire: number; write(writer: Writer, value: never): unknown }> = {
    bool: { wire: varint, write: (writer, value: boolean) => writer.bool(value) },
    bytes: { wire: lengthDelimited, write: (writer, value: Uint8Array) => writer.bytes(value) },
    double: { wire: fixed64, write: (writer, value: number) => writer.double(value) },
    float: { wire: fixed32, write: (writer, value: number) => writer.float(value) },
    int32: { wire: varint, write: (writer, value: number) => writer.int32(value) },
    int64: { wire: varint, write: (writer, value: number) => writer.int64(value) },
    string: { wire: lengthDelimited, write: (writer, value: string) => writer.string(value) },
  };

  const writeScalar = (writer: Writer, number: number, type: Scalar, value: unknown): void => {
    scalars[type].write(writer.tag(number, scalars[type].wire), value as never);
  };
  const encode: Encode = (message, value) => {
    const writer = new BinaryWriter();
    for (const [name, { number, type, repeated, oneof }] of Object.entries(messages[message])) {
      const given = value[name];
      if (given === undefined) continue;
      if (repeated === 'packed') {
        writer.tag(number, lengthDelimited).fork();
        for (const one of given as readonly never[]) scalars[type as Scalar].write(writer, one);
        writer.join();
        continue;
      }
      for (const one of repeated ? (given as readonly unknown[]) : [given]) {
        if (type in messages) writer.tag(number, lengthDelimited).bytes(encode(type, one as MessageValue));
        else if (repeated || oneof || !isDefault(one)) writeScalar(writer, number, type as Scalar, one);
      }
    }
    return writer.finish();
  };
  return encode;
}

/** What a reader takes a missing field for. */
function isDefault(value: unknown): boolean {
  return value === false || value === '' || Object.is(value, 0) || (value instanceof Uint8Array && value.length === 0);
}

/**
 * Records in a file, as TensorFlow frames them: length, its checksum, the bytes, their checksum. Source: `tensorflow/core/lib/io/record_writer.h`;
 * the checksum is CRC-32C (RFC 3720), rotated and shifted by a constant so that a checksum of checksums stays sound.
 */
const maskDelta = 0xa282ead8;

export type Frame = (payload: Uint8Array) => Uint8Array;

/** Loads the checksum. */
export async function recordFramer(): Promise<Frame> {
  const { crc32c } = await import('@aws-crypto/crc32c');
  const masked = (bytes: Uint8Array): number => {
    const crc = crc32c(bytes);
    return (((crc >>> 15) | (crc << 17)) + maskDelta) >>> 0;
  };
  return (payload) => {
    const record = new Uint8Array(payload.length + 16);
    const view = new DataView(record.buffer);
    view.setBigUint64(0, BigInt(payload.length), true);
    view.setUint32(8, masked(record.subarray(0, 8)), true);
    record.set(payload, 12);
    view.setUint32(12 + payload.length, masked(payload), true);
    return record;
  };
}

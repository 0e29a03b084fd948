// From a picture to probabilities.  `pumice.ready()` makes the session, `pumice.classify(source)` uses it.
"use strict";

const pumice = (() => {
  const manifest = self.PUMICE_MANIFEST;
  const { size, crop_pct, interpolation, mean, std, channels, resize, baked } = manifest.preprocess;
  const [height, width] = size;
  let ort;
  let session;
  let starting; // the one promise of both

  // Base64 of a gzip archive -> bytes.
  async function unpacked(text) {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  const ready = () => (starting ??= start());

  async function start() {
    const address = URL.createObjectURL(new Blob([self.ORT_SOURCE], { type: "text/javascript" }));
    ort = await import(address);
    URL.revokeObjectURL(address);
    ort.env.wasm.numThreads = 1; // more need headers of a server
    ort.env.wasm.wasmBinary = (await unpacked(self.ORT_WASM)).buffer;
    session = await ort.InferenceSession.create(await unpacked(self.PUMICE_MODEL), { executionProviders: ["wasm"] });
    delete self.ORT_SOURCE;
    delete self.ORT_WASM;
    delete self.PUMICE_MODEL;
  }

  // Pillow's filters: half-width, and weight at a distance.
  const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
  const FILTERS = {
    bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
    bicubic: [
      2,
      (x) => {
        const a = -0.5;
        x = Math.abs(x);
        if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
        return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
      },
    ],
    lanczos: [3, (x) => (x > -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
  };
  const BITS = 22; // of the fixed-point weights that Pillow works with on 8-bit images

  // For each of `count` outputs along a side: the first input, and the weights of it and those behind it.
  function taps(length, count) {
    const [support, weight] = FILTERS[interpolation];
    const scale = length / count;
    const stretch = Math.max(1, scale); // a reduction averages over as many more inputs
    const reach = support * stretch;
    return Array.from({ length: count }, (_, i) => {
      const centre = (i + 0.5) * scale;
      const first = Math.max(0, Math.trunc(centre - reach + 0.5));
      const last = Math.min(length, Math.trunc(centre + reach + 0.5));
      const weights = Array.from({ length: last - first }, (_, k) => weight((first + k - centre + 0.5) / stretch));
      const sum = weights.reduce((a, b) => a + b, 0);
      return [first, Int32Array.from(weights, (w) => Math.trunc((w / sum) * (1 << BITS) + (w < 0 ? -0.5 : 0.5)))];
    });
  }

  const clipped = (sum) => Math.max(0, Math.min(255, sum >> BITS));

  // RGBA pixels -> RGB pixels of another size, with Pillow's arithmetic: rows first, then columns, 8 bits in between.
  function resized({ data, width: w, height: h }, outW, outH) {
    const result = new Uint8ClampedArray(outW * outH * 3);
    if (interpolation === "nearest") {
      for (let y = 0; y < outH; y++) {
        const row = Math.min(h - 1, Math.trunc((y + 0.5) * (h / outH)));
        for (let x = 0; x < outW; x++) {
          const column = Math.min(w - 1, Math.trunc((x + 0.5) * (w / outW)));
          for (let c = 0; c < 3; c++) result[(y * outW + x) * 3 + c] = data[(row * w + column) * 4 + c];
        }
      }
      return result;
    }
    const half = 1 << (BITS - 1);
    const rows = new Uint8ClampedArray(outW * h * 3);
    const across = w === outW ? null : taps(w, outW);
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < outW; x++) {
        for (let c = 0; c < 3; c++) {
          let value;
          if (across === null) value = data[(y * w + x) * 4 + c];
          else {
            const [first, weights] = across[x];
            let sum = half;
            for (let k = 0; k < weights.length; k++) sum += data[(y * w + first + k) * 4 + c] * weights[k];
            value = clipped(sum);
          }
          rows[(y * outW + x) * 3 + c] = value;
        }
      }
    }
    if (h === outH) return rows;
    const down = taps(h, outH);
    const line = outW * 3;
    for (let y = 0; y < outH; y++) {
      const [first, weights] = down[y];
      for (let x = 0; x < line; x++) {
        let sum = half;
        for (let k = 0; k < weights.length; k++) sum += rows[(first + k) * line + x] * weights[k];
        result[y * line + x] = clipped(sum);
      }
    }
    return result;
  }

  // As Python rounds: halves to even.
  function rounded(x) {
    const below = Math.floor(x);
    if (x - below !== 0.5) return Math.round(x);
    return below % 2 === 0 ? below : below + 1;
  }

  // The picture's pixels, on white where it is transparent, upright as its camera says.
  async function pixels(source) {
    const options = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "default" };
    const picture = source instanceof Blob ? await createImageBitmap(source, options) : source;
    const w = picture.videoWidth || picture.naturalWidth || picture.width;
    const h = picture.videoHeight || picture.naturalHeight || picture.height;
    const canvas = new OffscreenCanvas(w, h);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "white";
    context.fillRect(0, 0, w, h);
    context.drawImage(picture, 0, 0);
    return context.getImageData(0, 0, w, h);
  }

  // What the network reads, from the pixels of a picture.
  function prepared(image) {
    let cut;
    if (resize === "stretch") cut = resized(image, width, height);
    else {
      const scale = Math.max(height / image.height, width / image.width) / crop_pct;
      const h = Math.max(height, rounded(image.height * scale));
      const w = Math.max(width, rounded(image.width * scale));
      const whole = resized(image, w, h);
      const top = Math.floor((h - height) / 2);
      const left = Math.floor((w - width) / 2);
      cut = new Uint8ClampedArray(width * height * 3);
      for (let y = 0; y < height; y++) {
        const from = ((top + y) * w + left) * 3;
        cut.set(whole.subarray(from, from + width * 3), y * width * 3);
      }
    }
    if (baked) return new ort.Tensor("uint8", new Uint8Array(cut.buffer), [1, height, width, 3]);
    const planes = new Float32Array(3 * height * width);
    for (let c = 0; c < 3; c++) {
      const from = channels === "BGR" ? 2 - c : c;
      const [m, s] = [Math.fround(mean[c]), Math.fround(std[c])];
      for (let i = 0; i < height * width; i++) {
        const value = Math.fround(Math.fround(cut[i * 3 + from] / 255) - m);
        planes[c * height * width + i] = value / s;
      }
    }
    return new ort.Tensor("float32", planes, [1, 3, height, width]);
  }

  function probabilities(logits) {
    const most = Math.max(...logits);
    const powers = Array.from(logits, (x) => Math.exp(x - most));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((p) => p / sum);
  }

  const label = (i) => manifest.classes[i] ?? String(i);

  // source: a Blob, an image, a video or a bitmap -> {logits, ranked: [[class, probability], ...], ms of the network}.
  async function classify(source) {
    await ready();
    const input = prepared(await pixels(source));
    const began = performance.now();
    const outputs = await session.run({ [session.inputNames[0]]: input });
    const ms = performance.now() - began;
    const logits = outputs[session.outputNames[0]].data;
    const ranked = probabilities(logits).map((p, i) => [label(i), p]).sort((a, b) => b[1] - a[1]);
    return { logits: Array.from(logits), ranked, ms };
  }

  return { classify, ready };
})();

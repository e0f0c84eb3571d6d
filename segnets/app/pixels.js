// Pictures of a store in the browser, for each component that shows them. Class ids come as grey PNG
// and must be decoded without colour conversion and premultiplication: then the red channel is the id
// exactly.
const UNLABELLED = 255;

async function bitmap(bytes, type) {
  const options = {colorSpaceConversion: "none", premultiplyAlpha: "none"};
  return createImageBitmap(new Blob([bytes], {type}), options);
}

function canvasOf(width, height) {
  const node = document.createElement("canvas");
  node.width = width;
  node.height = height;
  return node;
}

// The red channel of an encoded picture: class ids of a grey PNG, or confidence of a WebP.
async function channel(bytes, type) {
  const image = await bitmap(bytes, type);
  const context = canvasOf(image.width, image.height).getContext("2d", {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  const rgba = context.getImageData(0, 0, image.width, image.height).data;
  const out = new Uint8Array(image.width * image.height);
  for (let i = 0; i < out.length; i++) out[i] = rgba[4 * i];
  const size = {width: image.width, height: image.height, data: out};
  image.close();
  return size;
}

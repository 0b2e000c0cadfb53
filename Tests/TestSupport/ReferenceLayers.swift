/// Parameters, or gradients of them, by their names in checkpoints; row-major.
public typealias NamedTensors = [String: [Double]]

extension NamedTensors {
  /// A tensor that must be there.
  func tensor(_ name: String) -> [Double] {
    guard let values = self[name] else { preconditionFailure("no parameter is called \(name)") }
    return values
  }
}

private let leak = 0.05

private func leakyReLU(_ values: [Double]) -> [Double] { values.map { $0 > 0 ? $0 : leak * $0 } }

/// The gradient with respect to leaky ReLU's input; its output has its input's sign.
private func leakyReLUGradient(output: [Double], _ gradient: [Double]) -> [Double] {
  zip(output, gradient).map { $0 > 0 ? $1 : leak * $1 }
}

/// Fully connected layers `name.0`, `name.1`, …: y = W·x + b, leaky ReLU between them and, if wanted, after the last.
struct ReferenceDenseLayers {
  let name: String
  /// Widths from the input to the output.
  let widths: [Int]
  let activatesLast: Bool

  private func activates(_ layer: Int) -> Bool { activatesLast || layer < widths.count - 2 }

  /// The input, then every layer's output.
  func forward(_ input: [Double], _ parameters: NamedTensors) -> [[Double]] {
    var values = [input]
    for layer in 0..<widths.count - 1 {
      let weight = parameters.tensor("\(name).\(layer).weight")
      var sums = parameters.tensor("\(name).\(layer).bias")
      let x = values[layer]
      for output in sums.indices {
        let row = output * x.count
        for input in x.indices { sums[output] += weight[row + input] * x[input] }
      }
      values.append(activates(layer) ? leakyReLU(sums) : sums)
    }
    return values
  }

  /// Adds the parameters' gradients and gives the input's.
  ///
  /// - Parameter values: What `forward` gave.
  func backward(
    _ values: [[Double]], outputGradient: [Double], _ parameters: NamedTensors, gradient: inout NamedTensors
  ) -> [Double] {
    var outputGradient = outputGradient
    for layer in (0..<widths.count - 1).reversed() {
      if activates(layer) { outputGradient = leakyReLUGradient(output: values[layer + 1], outputGradient) }
      let x = values[layer]
      let weight = parameters.tensor("\(name).\(layer).weight")
      var inputGradient = [Double](repeating: 0, count: x.count)
      for (output, g) in outputGradient.enumerated() {
        let row = output * x.count
        for input in x.indices { inputGradient[input] += weight[row + input] * g }
      }
      addOuterProduct(outputGradient, x, to: &gradient["\(name).\(layer).weight", default: []])
      addSum(outputGradient, to: &gradient["\(name).\(layer).bias", default: []])
      outputGradient = inputGradient
    }
    return outputGradient
  }

  private func addOuterProduct(_ column: [Double], _ row: [Double], to matrix: inout [Double]) {
    for (index, factor) in column.enumerated() {
      let start = index * row.count
      for place in row.indices { matrix[start + place] += factor * row[place] }
    }
  }

  private func addSum(_ terms: [Double], to sums: inout [Double]) {
    for index in terms.indices { sums[index] += terms[index] }
  }
}

/// One 3×3 cross-correlation with bias and zero padding, [inputs][W][W] to [outputs][W][W].
private struct ReferenceConvolution {
  let name: String
  let inputs: Int
  let outputs: Int
  let width: Int

  /// Visits every filter element with every row that it reads and the row that it adds to.
  ///
  /// As (offset of the weight, first input, first output, length). Rows and columns outside the image are zero and left
  /// out.
  private func forEachRow(_ visit: (_ weight: Int, _ input: Int, _ output: Int, _ count: Int) -> Void) {
    for output in 0..<outputs {
      for input in 0..<inputs {
        for tap in 0..<9 {
          let (dy, dx) = (tap / 3 - 1, tap % 3 - 1)
          let firstColumn = max(0, -dx)
          let count = max(0, width - abs(dx))
          for y in max(0, -dy)..<max(max(0, -dy), width - max(0, dy)) {
            visit(
              (output * inputs + input) * 9 + tap, (input * width + y + dy) * width + firstColumn + dx,
              (output * width + y) * width + firstColumn, count)
          }
        }
      }
    }
  }

  /// y[o][r][c] = b[o] + Σ_{i,u,v} w[o][i][u][v]·x[i][r + u - 1][c + v - 1].
  func forward(_ x: [Double], _ parameters: NamedTensors) -> [Double] {
    let weight = parameters.tensor("\(name).weight")
    var result = parameters.tensor("\(name).bias").flatMap { Array(repeating: $0, count: width * width) }
    forEachRow { w, input, output, count in
      for column in 0..<count { result[output + column] += weight[w] * x[input + column] }
    }
    return result
  }

  /// Adds the parameters' gradients and gives the input's.
  func backward(
    _ x: [Double], outputGradient: [Double], _ parameters: NamedTensors, gradient: inout NamedTensors
  ) -> [Double] {
    let weight = parameters.tensor("\(name).weight")
    var weightGradient = gradient.tensor("\(name).weight")
    var biasGradient = gradient.tensor("\(name).bias")
    var inputGradient = [Double](repeating: 0, count: x.count)
    forEachRow { w, input, output, count in
      for column in 0..<count {
        weightGradient[w] += outputGradient[output + column] * x[input + column]
        inputGradient[input + column] += weight[w] * outputGradient[output + column]
      }
    }
    for index in outputGradient.indices { biasGradient[index / (width * width)] += outputGradient[index] }
    gradient["\(name).weight"] = weightGradient
    gradient["\(name).bias"] = biasGradient
    return inputGradient
  }
}

/// A multi-scale layer of the convolutional branch: from the coarsest scale to the finest, leaky ReLU of the convolution
/// of the pooled image is accumulated and doubled; the whole divided by the number of scales.
struct ReferenceMultiScaleLayer {
  let layer: Int
  let inputs: Int
  let outputs: Int
  let width: Int
  let scaleCount: Int

  /// What the backward pass needs, by scale, and the output.
  struct Pass {
    var pooled: [[Double]]
    var activations: [[Double]]
    var output: [Double]
  }

  private func convolution(_ scale: Int) -> ReferenceConvolution {
    ReferenceConvolution(
      name: "conv.\(layer).scale\(scale)", inputs: inputs, outputs: outputs, width: width >> scale)
  }

  func forward(_ x: [Double], _ parameters: NamedTensors) -> Pass {
    let pooled = (0..<scaleCount).map { meanPooled(x, width: width, factor: 1 << $0) }
    let activations = (0..<scaleCount).map { leakyReLU(convolution($0).forward(pooled[$0], parameters)) }
    var sum = activations[scaleCount - 1]
    for scale in (0..<scaleCount - 1).reversed() {
      sum = zip(doubled(sum, width: width >> (scale + 1)), activations[scale]).map(+)
    }
    return Pass(pooled: pooled, activations: activations, output: sum.map { $0 / Double(scaleCount) })
  }

  /// Adds the parameters' gradients and gives the input's.
  func backward(
    _ pass: Pass, outputGradient: [Double], _ parameters: NamedTensors, gradient: inout NamedTensors
  ) -> [Double] {
    var sumGradient = outputGradient.map { $0 / Double(scaleCount) }
    var inputGradient = [Double](repeating: 0, count: inputs * width * width)
    for scale in 0..<scaleCount {
      if scale > 0 { sumGradient = doubledGradient(sumGradient, width: width >> scale) }
      let pooledGradient = convolution(scale).backward(
        pass.pooled[scale], outputGradient: leakyReLUGradient(output: pass.activations[scale], sumGradient), parameters,
        gradient: &gradient)
      let spread = meanPooledGradient(pooledGradient, width: width, factor: 1 << scale)
      inputGradient = zip(inputGradient, spread).map(+)
    }
    return inputGradient
  }
}

/// The pixel of a coarse image that a pixel of the fine image [channels][width][width] lies in.
private func coarse(_ pixel: Int, width: Int, factor: Int) -> Int {
  let (row, x) = pixel.quotientAndRemainder(dividingBy: width)
  let (channel, y) = row.quotientAndRemainder(dividingBy: width)
  let coarseWidth = width / factor
  return (channel * coarseWidth + y / factor) * coarseWidth + x / factor
}

/// The mean of every factor × factor square.
private func meanPooled(_ x: [Double], width: Int, factor: Int) -> [Double] {
  var result = [Double](repeating: 0, count: x.count / (factor * factor))
  for pixel in x.indices {
    result[coarse(pixel, width: width, factor: factor)] += x[pixel] / Double(factor * factor)
  }
  return result
}

/// Spreads a mean's gradient over its square; `width` is the fine image's.
private func meanPooledGradient(_ gradient: [Double], width: Int, factor: Int) -> [Double] {
  (0..<gradient.count * factor * factor).map {
    gradient[coarse($0, width: width, factor: factor)] / Double(factor * factor)
  }
}

/// Nearest-neighbour doubling of an image whose width is `width`.
private func doubled(_ x: [Double], width: Int) -> [Double] {
  (0..<4 * x.count).map { x[coarse($0, width: 2 * width, factor: 2)] }
}

/// Sums a doubled image's gradient over 2 × 2 squares; `width` is the coarse image's.
private func doubledGradient(_ gradient: [Double], width: Int) -> [Double] {
  var result = [Double](repeating: 0, count: gradient.count / 4)
  for pixel in gradient.indices { result[coarse(pixel, width: 2 * width, factor: 2)] += gradient[pixel] }
  return result
}

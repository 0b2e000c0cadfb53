public import Network

/// One image with what the objective draws for it.
public struct ReferenceDraw {
  /// x_0: standardized and dequantized, [C][H][W].
  public var clean: [Double]
  /// ε, shaped as `clean`.
  public var noise: [Double]
  /// t, 1 ..< T.
  public var time: Int

  /// Keeps a draw.
  public init(clean: [Double], noise: [Double], time: Int) {
    self.clean = clean
    self.noise = noise
    self.time = time
  }
}

/// J, and its gradient with respect to every parameter.
public struct ObjectiveGradient {
  /// J in bits/pixel, the mean over the images.
  public var objective: Double
  /// ∂J by the parameters' names in checkpoints.
  public var gradient: NamedTensors

  /// Keeps both.
  public init(objective: Double, gradient: NamedTensors) {
    self.objective = objective
    self.gradient = gradient
  }
}

/// The whole model of MODEL.md in double precision, one image at a time, in plain loops: what the network's kernels are
/// tested against.
///
/// Shares nothing with the library but `Architecture`, the list of sizes. Written to be read, not to be fast.
public struct ReferenceModel {
  /// The sizes.
  public let architecture: Architecture
  /// The process that it reverses.
  public let diffusion: ReferenceDiffusion
  /// All parameters.
  public var parameters: NamedTensors

  private let convolutions: [ReferenceMultiScaleLayer]
  private let dense: ReferenceDenseLayers?
  private let upper: ReferenceDenseLayers

  /// Builds the model of an architecture with parameters of the shapes that `parameterShapes` lists.
  public init(_ architecture: Architecture, parameters: NamedTensors) {
    self.architecture = architecture
    self.parameters = parameters
    diffusion = ReferenceDiffusion(
      trajectoryLength: architecture.trajectoryLength, temporalBasisCount: architecture.temporalBasisCount,
      firstStepBeta: architecture.firstStepBeta)
    convolutions = (0..<architecture.convolutionLayers).map { layer in
      ReferenceMultiScaleLayer(
        layer: layer, inputs: layer == 0 ? architecture.colorCount : architecture.convolutionChannels,
        outputs: architecture.convolutionChannels, width: architecture.spatialWidth,
        scaleCount: architecture.scaleCount)
    }
    dense =
      architecture.hasDenseBranch
      ? ReferenceDenseLayers(name: "dense_lower", widths: architecture.denseLowerWidths, activatesLast: true) : nil
    upper = ReferenceDenseLayers(name: "dense_upper", widths: architecture.denseUpperWidths, activatesLast: false)
  }

  /// Every parameter's name in checkpoints and its shape.
  public static func parameterShapes(_ architecture: Architecture) -> [String: [Int]] {
    var shapes: [String: [Int]] = [:]
    func add(_ name: String, _ weight: [Int]) {
      shapes["\(name).weight"] = weight
      shapes["\(name).bias"] = [weight[0]]
    }
    for layer in 0..<architecture.convolutionLayers {
      let inputs = layer == 0 ? architecture.colorCount : architecture.convolutionChannels
      for scale in 0..<architecture.scaleCount {
        add("conv.\(layer).scale\(scale)", [architecture.convolutionChannels, inputs, 3, 3])
      }
    }
    for (name, widths) in [
      ("dense_lower", architecture.denseLowerWidths), ("dense_upper", architecture.denseUpperWidths),
    ] {
      for (layer, (inputs, outputs)) in zip(widths, widths.dropFirst()).enumerated() {
        add("\(name).\(layer)", [outputs, inputs])
      }
    }
    return shapes
  }

  private var pixels: Int { architecture.spatialWidth * architecture.spatialWidth }

  // MARK: - Forward

  /// What the backward pass needs of a forward pass.
  private struct Pass {
    var convolutions: [ReferenceMultiScaleLayer.Pass] = []
    /// The dense branch's input and its layers' outputs; empty without the branch.
    var dense: [[Double]] = []
    /// The same of the upper branch, for every pixel.
    var upper: [[[Double]]] = []
    /// m and g, [C][H][W].
    var meanReadout: [Double] = []
    var varianceReadout: [Double] = []
  }

  private func forward(_ noisy: [Double], temporalWeights y: [Double]) -> Pass {
    var pass = Pass()
    var image = noisy
    for layer in convolutions {
      pass.convolutions.append(layer.forward(image, parameters))
      image = pass.convolutions[layer.layer].output
    }
    if let dense { pass.dense = dense.forward(noisy, parameters) }
    for pixel in 0..<pixels {
      pass.upper.append(upper.forward(features(of: pixel, convolved: image, dense: pass.dense.last), parameters))
    }
    pass.meanReadout = readout(pass.upper.map { $0[$0.count - 1] }, part: 0, temporalWeights: y)
    pass.varianceReadout = readout(pass.upper.map { $0[$0.count - 1] }, part: 1, temporalWeights: y)
    return pass
  }

  /// A pixel's channels of the convolutional branch, [channels][H][W], and of the dense branch, [H][W][outputs].
  private func features(of pixel: Int, convolved: [Double], dense: [Double]?) -> [Double] {
    let channels = (0..<architecture.convolutionChannels).map { convolved[$0 * pixels + pixel] * convolutionScale }
    guard let dense else { return channels }
    let outputs = architecture.denseLowerOutputs
    return channels + dense[pixel * outputs..<(pixel + 1) * outputs].map { $0 * denseScale }
  }

  /// What the convolutional branch's output is multiplied by: 1/√channels, and nothing where it is alone.
  private var convolutionScale: Double {
    architecture.hasDenseBranch ? 1 / Double(architecture.convolutionChannels).squareRoot() : 1
  }

  /// What the dense branch's output is multiplied by.
  private var denseScale: Double { 1 / Double(architecture.denseLowerOutputs).squareRoot() }

  /// Z[…, part, :]·y of all elements, [C][H][W], from Z as [H·W][C·2·nb].
  private func readout(_ coefficients: [[Double]], part: Int, temporalWeights y: [Double]) -> [Double] {
    (0..<architecture.colorCount).flatMap { color in
      coefficients.map { pixel in
        y.indices.reduce(0) { $0 + pixel[(2 * color + part) * y.count + $1] * y[$1] }
      }
    }
  }

  /// Z of a noisy image, [H][W][C][2][nb].
  public func coefficients(_ noisy: [Double]) -> [Double] {
    // Z does not depend on t; the readouts of t = 0 are thrown away.
    forward(noisy, temporalWeights: diffusion.temporalWeights[0]).upper.flatMap { $0[$0.count - 1] }
  }

  /// μ_θ(x_t, t) and σ_θ(x_t, t) of every element.
  public func moments(_ noisy: [Double], time: Int) -> (mean: [Double], deviation: [Double]) {
    let pass = forward(noisy, temporalWeights: diffusion.temporalWeights[time])
    return (
      zip(noisy, pass.meanReadout).map { diffusion.mean(noisy: $0, readout: $1, time: time) },
      pass.varianceReadout.map { diffusion.variance(readout: $0, time: time).squareRoot() }
    )
  }

  /// x_{t-1} = μ' + σ'·ε, the moments changed by r(x).
  public func reverseStep(
    _ image: [Double], time: Int, noise: [Double], factor: ReferenceFactor = .none
  ) -> [Double] {
    let (mean, deviation) = moments(image, time: time)
    return image.indices.map { element in
      let changed = factor.modify(mean: mean[element], deviation: deviation[element], element: element)
      return changed.mean + changed.deviation * noise[element]
    }
  }

  // MARK: - Objective

  /// KL of a draw, averaged over its elements, in nats; and ∂ of that mean by m and g.
  private func divergence(_ draw: ReferenceDraw, _ noisy: [Double], _ pass: Pass) -> (
    mean: Double, byMean: [Double], byVariance: [Double]
  ) {
    let posteriorMean = diffusion.posteriorMean(clean: draw.clean, noisy: noisy, time: draw.time)
    let posteriorDeviation = diffusion.posterior(at: draw.time).deviation
    let count = Double(noisy.count)
    var sum = 0.0
    var gradients: [(m: Double, g: Double)] = []
    for element in noisy.indices {
      let posterior = (posteriorMean[element], posteriorDeviation)
      let mean = diffusion.mean(noisy: noisy[element], readout: pass.meanReadout[element], time: draw.time)
      let variance = diffusion.variance(readout: pass.varianceReadout[element], time: draw.time)
      sum += ReferenceDiffusion.divergence(posterior: posterior, mean: mean, variance: variance)
      gradients.append(
        diffusion.divergenceGradient(posterior: posterior, mean: mean, variance: variance, time: draw.time))
    }
    return (sum / count, gradients.map { $0.m / count }, gradients.map { $0.g / count })
  }

  /// KL of a draw, averaged over its elements, in nats.
  public func meanDivergence(_ draw: ReferenceDraw) -> Double {
    let noisy = diffusion.noisy(clean: draw.clean, noise: draw.noise, time: draw.time)
    return divergence(draw, noisy, forward(noisy, temporalWeights: diffusion.temporalWeights[draw.time])).mean
  }

  /// J averaged over draws.
  public func objective(_ draws: [ReferenceDraw]) -> Double {
    draws.reduce(0) {
      $0 + diffusion.objective(meanDivergence: meanDivergence($1), colors: architecture.colorCount)
    } / Double(draws.count)
  }

  /// J of one image by the exact sum over t = 1 … T-1, with the same noise at every t.
  public func exactObjective(clean: [Double], noise: [Double]) -> Double {
    let sum = (1..<architecture.trajectoryLength).reduce(0) {
      $0 + meanDivergence(ReferenceDraw(clean: clean, noise: noise, time: $1))
    }
    return diffusion.exactObjective(summedDivergence: sum, colors: architecture.colorCount)
  }

  // MARK: - Backward

  /// J averaged over draws, and its gradient.
  public func gradient(_ draws: [ReferenceDraw]) -> ObjectiveGradient {
    var gradient = parameters.mapValues { Array(repeating: 0.0, count: $0.count) }
    var objective = 0.0
    // ∂J/∂(mean KL of an image): J is linear in it.
    let weight =
      (diffusion.objective(meanDivergence: 1, colors: architecture.colorCount)
        - diffusion.objective(meanDivergence: 0, colors: architecture.colorCount)) / Double(draws.count)
    for draw in draws {
      let y = diffusion.temporalWeights[draw.time]
      let noisy = diffusion.noisy(clean: draw.clean, noise: draw.noise, time: draw.time)
      let pass = forward(noisy, temporalWeights: y)
      let (divergence, byMean, byVariance) = divergence(draw, noisy, pass)
      objective += diffusion.objective(meanDivergence: divergence, colors: architecture.colorCount)
      backward(
        pass, meanGradient: byMean.map { $0 * weight }, varianceGradient: byVariance.map { $0 * weight },
        temporalWeights: y, gradient: &gradient)
    }
    return ObjectiveGradient(objective: objective / Double(draws.count), gradient: gradient)
  }

  /// Adds the parameters' gradients, given those of m and g, [C][H][W].
  private func backward(
    _ pass: Pass, meanGradient: [Double], varianceGradient: [Double], temporalWeights y: [Double],
    gradient: inout NamedTensors
  ) {
    let channels = architecture.convolutionChannels
    let outputs = architecture.denseLowerOutputs
    var convolvedGradient = [Double](repeating: 0, count: channels * pixels)
    var denseGradient = [Double](repeating: 0, count: architecture.hasDenseBranch ? pixels * outputs : 0)
    for pixel in 0..<pixels {
      // Z[c, part, b] enters readout `part` of colour c with the factor y[b].
      let coefficientGradient = (0..<architecture.colorCount).flatMap { color in
        [meanGradient, varianceGradient].flatMap { readout in y.map { $0 * readout[color * pixels + pixel] } }
      }
      let features = upper.backward(
        pass.upper[pixel], outputGradient: coefficientGradient, parameters, gradient: &gradient)
      for channel in 0..<channels {
        convolvedGradient[channel * pixels + pixel] = features[channel] * convolutionScale
      }
      for (output, place) in zip(0..., channels..<features.count) {
        denseGradient[pixel * outputs + output] = features[place] * denseScale
      }
    }
    _ = dense?.backward(pass.dense, outputGradient: denseGradient, parameters, gradient: &gradient)
    for (layer, layerPass) in zip(convolutions, pass.convolutions).reversed() {
      convolvedGradient = layer.backward(
        layerPass, outputGradient: convolvedGradient, parameters, gradient: &gradient)
    }
  }
}

import KernelInterface

// The forward process, the objective and the reverse step for 16 images at once. The formulas and the table of
// coefficients are LaneCoefficient's.

@inline(__always)
private func coefficient(_ table: UnsafePointer<Float>, _ name: LaneCoefficient, _ lane: Int) -> Vector {
  load(table + name.rawValue * laneCount + lane)
}

extension VectorKernels {
  /// clean[element][lane] = pixel · scale + shift + (u - ½) · width: standardized, dequantized images, transposed into lanes.
  ///
  /// - Parameters:
  ///   - images: The first pixel of each lane's image.
  ///   - clean: Holds the uniforms u on entry, the images on return; [elements][16].
  public func gatherLanes(
    _ images: UnsafePointer<UnsafePointer<UInt8>>, elements: Int, scale: Float, shift: Float, width: Float,
    clean: UnsafeMutablePointer<Float>
  ) {
    for lane in 0..<laneCount {
      let image = images[lane]
      let start = shift - 0.5 * width
      var output = clean + lane
      for element in 0..<elements {
        #if FUSED_MULTIPLY_ADD
          output.pointee = start.addingProduct(output.pointee, width).addingProduct(Float(image[element]), scale)
        #else
          output.pointee = start + output.pointee * width + Float(image[element]) * scale
        #endif
        output += laneCount
      }
    }
  }

  /// x_t = √ᾱ·x_0 + √(1-ᾱ)·ε into a bordered image, and the readout's target r, in place of ε.
  ///
  /// - Parameters:
  ///   - clean: x_0, [C·H·W][16].
  ///   - noise: ε on entry, r on return, [C·H·W][16].
  ///   - noisy: First pixel inside the border of [C][H + 2][W + 2][16].
  public func diffuse(
    clean: UnsafePointer<Float>, noise: UnsafeMutablePointer<Float>, noisy: UnsafeMutablePointer<Float>,
    colors: Int, height: Int, width: Int, coefficients: UnsafePointer<Float>
  ) {
    #if VECTOR_WIDTH_16
      if lanes < laneCount {
        return halves.diffuse(
          clean: clean, noise: noise, noisy: noisy, colors: colors, height: height, width: width,
          coefficients: coefficients)
      }
    #endif
    let rowStride = (width + 2) * laneCount
    let planeStride = (height + 2) * rowStride
    var lane = 0
    while lane < lanes {
      let signal = coefficient(coefficients, .signal, lane)
      let noiseWeight = coefficient(coefficients, .noise, lane)
      let targetScale = coefficient(coefficients, .targetScale, lane)
      let targetNoise = -coefficient(coefficients, .targetNoise, lane)
      var element = 0
      for color in 0..<colors {
        for y in 0..<height {
          let row = noisy + color * planeStride + y * rowStride + lane
          for x in 0..<width {
            let epsilon = load(noise + element * laneCount + lane)
            let image = multiplyAdd(
              load(clean + element * laneCount + lane) * signal, epsilon, noiseWeight)
            store(image, to: row + x * laneCount)
            store(multiplyAdd(image, epsilon, targetNoise) * targetScale, to: noise + element * laneCount + lane)
            element += 1
          }
        }
      }
      lane += Vector.scalarCount
    }
  }

  /// Replaces the readouts m and g of a row of pixels by the objective's gradients with respect to them.
  ///
  ///     ∂KL/∂m = (m - r)·q,   ∂KL/∂δ = ½·(1 - v)·(1 - (ρ + (r - m)²)·q) with v = β/q = σ_θ²,   ∂δ/∂g = 1/√T
  ///
  /// - Parameters:
  ///   - mean, logit: m and g on entry, gradients on return, [columns][16].
  ///   - target: r, [columns][16].
  ///   - divergence: [16]; the columns' KL is added to it, in nats.
  public func objective(
    mean: UnsafeMutablePointer<Float>, logit: UnsafeMutablePointer<Float>, target: UnsafePointer<Float>, columns: Int,
    inverseRootLength: Float, coefficients: UnsafePointer<Float>, divergence: UnsafeMutablePointer<Float>
  ) {
    #if VECTOR_WIDTH_16
      if lanes < laneCount {
        return halves.objective(
          mean: mean, logit: logit, target: target, columns: columns, inverseRootLength: inverseRootLength,
          coefficients: coefficients, divergence: divergence)
      }
    #endif
    let one = Vector(repeating: 1)
    let half = Vector(repeating: 0.5)
    var lane = 0
    while lane < lanes {
      let beta = coefficient(coefficients, .beta, lane)
      let ratio = coefficient(coefficients, .varianceRatio, lane)
      let logRatio = coefficient(coefficients, .logVarianceRatio, lane)
      let weight = coefficient(coefficients, .gradientWeight, lane)
      var sum = Vector()
      for column in 0..<columns {
        let offset = column * laneCount + lane
        let delta = load(logit + offset) * Vector(repeating: inverseRootLength)
        let error = load(mean + offset) - load(target + offset)
        let decay = exponential(-delta)
        let q = multiplyAdd(beta, one - beta, decay)
        // ln(1 + β(e^δ - 1)) = δ + ln q: one exponential serves both.
        let spread = multiplyAdd(ratio, error, error)
        // KL = ½(δ - ln ρ - (δ + ln q)) + ½·spread·q - ½
        let kl = half * (multiplyAdd(-logRatio - logarithm(q), spread, q) - one)
        sum += kl
        store(error * q * weight, to: mean + offset)
        let gradient = half * (one - beta / q) * (one - spread * q)
        store(gradient * weight * Vector(repeating: inverseRootLength), to: logit + offset)
      }
      store(load(divergence + lane) + sum, to: divergence + lane)
      lane += Vector.scalarCount
    }
  }

  /// μ_θ = √(1-β)·x_t + √β·m and σ_θ = √(β/q) of a row of pixels, in place of m and g.
  public func reverseMoments(
    mean: UnsafeMutablePointer<Float>, logit: UnsafeMutablePointer<Float>, image: UnsafePointer<Float>, columns: Int,
    inverseRootLength: Float, coefficients: UnsafePointer<Float>
  ) {
    #if VECTOR_WIDTH_16
      if lanes < laneCount {
        return halves.reverseMoments(
          mean: mean, logit: logit, image: image, columns: columns, inverseRootLength: inverseRootLength,
          coefficients: coefficients)
      }
    #endif
    var lane = 0
    while lane < lanes {
      let beta = coefficient(coefficients, .beta, lane)
      let sqrtAlpha = coefficient(coefficients, .sqrtAlpha, lane)
      let sqrtBeta = coefficient(coefficients, .sqrtBeta, lane)
      for column in 0..<columns {
        let offset = column * laneCount + lane
        let decay = exponential(-load(logit + offset) * Vector(repeating: inverseRootLength))
        let q = multiplyAdd(beta, Vector(repeating: 1) - beta, decay)
        store(multiplyAdd(load(image + offset) * sqrtAlpha, load(mean + offset), sqrtBeta), to: mean + offset)
        store(squareRoot(beta / q), to: logit + offset)
      }
      lane += Vector.scalarCount
    }
  }
}

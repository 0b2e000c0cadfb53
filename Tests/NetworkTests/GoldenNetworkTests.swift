import Diffusion
import KernelInterface
import Network
import Tensors
import TestSupport
import Testing

/// The network against numbers that an independent implementation computed in double precision, on every build of the
/// kernels that this machine can run.
@Suite struct GoldenNetworkTests {
  static let tiny = ["tiny-grey", "tiny-colour-multiscale", "tiny-no-dense", "tiny-odd-width"]
  static let kernelNames = KernelChoice.available().map(\.name)

  private func expectGradients(_ gradient: FloatBuffer, of network: GoldenNetwork, prefix: String) throws {
    let tolerance = try network.file.tolerance("gradient")
    for entry in network.layout.entries {
      let actual = entry.range.map { Double(gradient[$0]) }
      let error = relativeDistance(actual, try network.file.doubles("\(prefix).gradient.\(entry.name)"))
      #expect(error < tolerance, "\(prefix) \(entry.name): \(error)")
    }
  }

  @Test("forward process, moments, objective and all gradients, one t for all images", arguments: tiny, kernelNames)
  func shared(_ name: String, _ kernels: String) throws {
    let network = try GoldenNetwork(name, kernels: kernels)
    for time in network.file.times {
      let prefix = "t\(time)"
      let batch = try network.batch(prefix: prefix, times: [time])
      let noisy = network.noisyImages(batch)
      #expect(relativeDistance(noisy, try network.file.doubles("\(prefix).x_t")) < 1e-5)
      // μ_q from the readout's target: √α·x_t + √β·r.
      let target = network.images(batch.target(0))
      let beta = network.schedule.beta[time]
      let posterior = zip(noisy, target).map { (1 - beta).squareRoot() * $0 + beta.squareRoot() * $1 }
      #expect(
        relativeDistance(posterior, try network.file.doubles("\(prefix).mu_posterior"))
          < (try network.file.tolerance("x_t, posterior")))

      let (mean, deviation) = network.moments(batch)
      let tolerance = try network.file.tolerance("Z, mu, sigma")
      #expect(
        relativeDistance(network.images(mean.pointer), try network.file.doubles("\(prefix).mu")) < tolerance)
      #expect(
        relativeDistance(network.images(deviation.pointer), try network.file.doubles("\(prefix).sigma")) < tolerance)

      let result = try network.train(prefix: prefix, times: [time])
      let objective = try network.file.doubles("\(prefix).J")[0]
      #expect(objectiveDistance(result.objective, objective) < (try network.file.tolerance("J")))
      try expectGradients(result.gradient, of: network, prefix: prefix)
    }
  }

  @Test("objective and all gradients, a t for each image", arguments: tiny, kernelNames)
  func perImage(_ name: String, _ kernels: String) throws {
    let network = try GoldenNetwork(name, kernels: kernels)
    let result = try network.train(prefix: "per_image", times: try network.file.integers("per_image.times"))
    let objective = try network.file.doubles("per_image.J")[0]
    #expect(objectiveDistance(result.objective, objective) < (try network.file.tolerance("J")))
    try expectGradients(result.gradient, of: network, prefix: "per_image")
  }

  @Test("all coefficients Z, one bump of the basis at a time", arguments: tiny, kernelNames)
  func coefficients(_ name: String, _ kernels: String) throws {
    let network = try GoldenNetwork(name, kernels: kernels)
    let time = network.file.times[1]
    let batch = try network.batch(prefix: "t\(time)", times: [time])
    let (colors, bumps) = (network.architecture.colorCount, network.architecture.temporalBasisCount)
    let expected = try network.file.doubles("t\(time).coefficients_Z")
    var actual = [Double](repeating: 0, count: expected.count)
    for bump in 0..<bumps {
      // With y_t a unit vector, the readouts are the coefficients of one bump.
      for b in 0..<bumps {
        for lane in 0..<laneCount { batch.basis(0)[b * laneCount + lane] = b == bump ? 1 : 0 }
      }
      let readouts = network.readouts(batch)
      for image in 0..<network.imageCount {
        for pixel in 0..<network.pixels {
          for row in 0..<2 * colors {
            let place = ((image * network.pixels + pixel) * 2 * colors + row) * bumps + bump
            actual[place] = Double(readouts[(row * network.pixels + pixel) * laneCount + image])
          }
        }
      }
    }
    #expect(relativeDistance(actual, expected) < (try network.file.tolerance("Z, mu, sigma")))
  }

  @Test("J of each image by the exact sum over all t", arguments: tiny)
  func exact(_ name: String) throws {
    let network = try GoldenNetwork(name, kernels: Self.kernelNames.last ?? "portable")
    let length = network.architecture.trajectoryLength
    let model = ReverseModel(
      network.architecture, layout: network.layout, kernels: network.kernels, groupCapacity: 1, partCapacity: 1,
      forTraining: true)
    model.prepare(network.parameters)
    let gradient = FloatBuffer(count: network.layout.count)
    var sums = [Double](repeating: 0, count: network.imageCount)
    for time in 1..<length {
      let batch = try network.batch(prefix: "exact", times: [time])
      model.gradient(network.parameters, batch: batch, parts: [0..<1], gradient: gradient, accumulating: false) { _ in }
      for image in 0..<network.imageCount { sums[image] += batch.divergence[image] }
    }
    // The exact sum has T - 1 terms where the drawn one has T times their mean.
    let colors = network.architecture.colorCount
    let expected = try network.file.doubles("exact.J_per_image")
    for image in 0..<network.imageCount {
      let drawn = network.schedule.objective(
        divergence: sums[image] / Double(length), colors: colors, pixels: network.pixels)
      #expect(objectiveDistance(drawn, expected[image]) < (try network.file.tolerance("J")))
    }
  }

  @Test("a t for each image gives the mean of shared ones", arguments: kernelNames)
  func perImageIsMeanOfShared(_ kernels: String) throws {
    let network = try GoldenNetwork("tiny-grey", kernels: kernels)
    let times = [3, 20, 41]
    let whole = try network.train(prefix: "per_image", times: times)
    var mean = [Double](repeating: 0, count: network.layout.count)
    var objective = 0.0
    for (image, time) in times.enumerated() {
      let batch = try network.batch(prefix: "per_image", times: [time])
      let weights = batch.coefficients(0) + LaneCoefficient.gradientWeight.rawValue * laneCount
      for lane in 0..<laneCount where lane != image { weights[lane] = 0 }
      let model = ReverseModel(
        network.architecture, layout: network.layout, kernels: network.kernels, groupCapacity: 1, partCapacity: 1,
        forTraining: true)
      model.prepare(network.parameters)
      let gradient = FloatBuffer(count: network.layout.count)
      model.gradient(network.parameters, batch: batch, parts: [0..<1], gradient: gradient, accumulating: false) { _ in }
      for index in mean.indices { mean[index] += Double(gradient[index]) }
      objective += network.objectives(batch)[image] / Double(times.count)
    }
    #expect(relativeDistance(whole.gradient.elements.map(Double.init), mean) < 1e-5)
    #expect(objectiveDistance(whole.objective, objective) < 1e-6)
  }

  @Test(
    "the published networks: moments, objective, gradients", arguments: ["mnist-default", "cifar10-published"],
    kernelNames)
  func published(_ name: String, _ kernels: String) throws {
    let network = try GoldenNetwork(name, kernels: kernels)
    // The portable build takes seconds a time; one time shows what three would.
    for time in kernels == "portable" ? [network.file.times[1]] : network.file.times {
      let prefix = "t\(time)"
      let (mean, deviation) = network.moments(try network.batch(prefix: prefix, times: [time]))
      let tolerance = try network.file.tolerance("mu, sigma")
      #expect(relativeDistance(network.images(mean.pointer), try network.file.doubles("\(prefix).mu")) < tolerance)
      #expect(
        relativeDistance(network.images(deviation.pointer), try network.file.doubles("\(prefix).sigma")) < tolerance)
      let result = try network.train(prefix: prefix, times: [time])
      let objective = try network.file.doubles("\(prefix).J")[0]
      #expect(objectiveDistance(result.objective, objective) < (try network.file.tolerance("J")))
      for entry in network.layout.entries {
        let values = entry.range.map { Double(result.gradient[$0]) }
        let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        let expectedNorm = try network.file.doubles("\(prefix).gradient_norm.\(entry.name)")[0]
        #expect(
          abs(norm - expectedNorm) < (try network.file.tolerance("gradient_norm")) * expectedNorm,
          "\(prefix) \(entry.name): norm \(norm) against \(expectedNorm)")
        let start = "\(prefix).gradient_every_"
        guard let sampled = network.file.names.first(where: { $0.hasPrefix(start) && $0.hasSuffix(".\(entry.name)") }),
          let stride = Int(sampled.dropFirst(start.count).prefix { $0 != "." })
        else { continue }
        let expected = try network.file.doubles(sampled)
        let typical = expectedNorm / Double(entry.count).squareRoot()
        let bound = try network.file.tolerance("gradient entries, relative to norm/sqrt(count)") * typical
        for (index, value) in expected.enumerated() {
          #expect(abs(values[index * stride] - value) < bound, "\(prefix) \(entry.name)[\(index * stride)]")
        }
      }
    }
  }
}

import Network
import TestSupport
import Testing

/// The reference model against the golden files, far inside their tolerances, and its backward pass against finite
/// differences.
@Suite struct ReferenceModelTests {
  /// Both sides compute in double precision.
  private let tolerance = 1e-9

  @Test("parameters are those of the library, by name and shape", arguments: GoldenNetworkTests.tiny)
  func parameters(_ name: String) throws {
    let architecture = try GoldenFile(name).architecture()
    let library = ParameterLayout(architecture).entries.map { ($0.name, $0.shape) }
    #expect(ReferenceModel.parameterShapes(architecture) == Dictionary(uniqueKeysWithValues: library))
  }

  @Test("x_t, posterior, coefficients, moments, objective and all gradients", arguments: GoldenNetworkTests.tiny)
  func shared(_ name: String) throws {
    let file = try GoldenFile(name)
    let model = try file.referenceModel()
    for time in file.times {
      let prefix = "t\(time)"
      let draws = try file.draws(prefix, times: [time])
      let noisy = draws.map { model.diffusion.noisy(clean: $0.clean, noise: $0.noise, time: time) }
      let posterior = zip(draws, noisy).map { model.diffusion.posteriorMean(clean: $0.clean, noisy: $1, time: time) }
      let moments = noisy.map { model.moments($0, time: time) }
      let pairs: [(String, [Double])] = [
        ("x_t", noisy.flatMap { $0 }), ("mu_posterior", posterior.flatMap { $0 }),
        ("sigma_posterior", [model.diffusion.posterior(at: time).deviation]),
        ("coefficients_Z", noisy.flatMap(model.coefficients)), ("mu", moments.flatMap(\.mean)),
        ("sigma", moments.flatMap(\.deviation)),
      ]
      for (tensor, values) in pairs {
        let error = relativeDistance(values, try file.doubles("\(prefix).\(tensor)"))
        #expect(error < tolerance, "\(prefix).\(tensor): \(error)")
      }
      expectGradient(
        try file.objectiveGradient(prefix), objectiveTolerance: tolerance, gradientTolerance: tolerance, prefix
      ) { model.gradient(draws) }
    }
  }

  @Test("objective and all gradients, a t for each image", arguments: GoldenNetworkTests.tiny)
  func perImage(_ name: String) throws {
    let file = try GoldenFile(name)
    let model = try file.referenceModel()
    let draws = try file.draws("per_image", times: try file.integers("per_image.times"))
    expectGradient(
      try file.objectiveGradient("per_image"), objectiveTolerance: tolerance, gradientTolerance: tolerance
    ) { model.gradient(draws) }
  }

  @Test("J of each image by the exact sum over all t", arguments: GoldenNetworkTests.tiny)
  func exact(_ name: String) throws {
    let file = try GoldenFile(name)
    let model = try file.referenceModel()
    let expected = try file.doubles("exact.J_per_image")
    // The draw's own time does not matter.
    for (draw, objective) in zip(try file.draws("exact", times: [1]), expected) {
      #expect(objectiveDistance(model.exactObjective(clean: draw.clean, noise: draw.noise), objective) < tolerance)
    }
  }

  @Test("start and two reverse steps", arguments: GoldenNetworkTests.tiny, ["standard", "denoise", "inpaint"])
  func sampling(_ name: String, _ kind: String) throws {
    let file = try GoldenFile(name)
    let model = try file.referenceModel()
    let width = model.architecture.spatialWidth
    let last = model.architecture.trajectoryLength - 1
    let truth = try file.scaledImages()
    let start = try file.images("sampling.start_noise")
    let first = try file.images("sampling.noise_first")
    let second = try file.images("sampling.noise_second")
    var starts: [Double] = []
    var ends: [Double] = []
    for image in truth.indices {
      var x = start[image]
      var factor = ReferenceFactor.none
      if kind == "denoise" {
        x = zip(truth[image], start[image]).map(+)
        factor = .denoising(observed: x, deviation: 1)
      } else if kind == "inpaint" {
        let known = truth[image].enumerated().map { $0 % width >= width / 2 ? $1 : nil }
        x = zip(known, start[image]).map { $0 ?? $1 }
        factor = .inpainting(known: known)
      }
      starts += x
      x = model.reverseStep(x, time: last, noise: first[image], factor: factor)
      ends += model.reverseStep(x, time: last - 1, noise: second[image], factor: factor)
    }
    #expect(relativeDistance(starts, try file.doubles("sampling.\(kind).start")) < tolerance)
    #expect(relativeDistance(ends, try file.doubles("sampling.\(kind).after_two_steps")) < tolerance)
  }

  @Test(
    "the published networks: moments, objective, gradients",
    arguments: [("mnist-default", 3), ("cifar10-published", 1)])
  func published(_ name: String, _ timeCount: Int) throws {
    let file = try GoldenFile(name)
    let model = try file.referenceModel()
    for time in file.times.suffix(timeCount) {
      let prefix = "t\(time)"
      let draws = try file.draws(prefix, times: [time])
      let moments = draws.map { draw in
        model.moments(model.diffusion.noisy(clean: draw.clean, noise: draw.noise, time: time), time: time)
      }
      // Stored in single precision.
      #expect(relativeDistance(moments.flatMap(\.mean), try file.doubles("\(prefix).mu")) < 1e-7)
      #expect(relativeDistance(moments.flatMap(\.deviation), try file.doubles("\(prefix).sigma")) < 1e-7)
      let result = model.gradient(draws)
      #expect(objectiveDistance(result.objective, try file.doubles("\(prefix).J")[0]) < tolerance)
      for (name, gradient) in result.gradient {
        let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
        let expectedNorm = try file.doubles("\(prefix).gradient_norm.\(name)")[0]
        #expect(abs(norm - expectedNorm) < tolerance * expectedNorm, "\(prefix) \(name)")
        let start = "\(prefix).gradient_every_"
        let sampled = try #require(file.names.first { $0.hasPrefix(start) && $0.hasSuffix(".\(name)") })
        let step = try #require(Int(sampled.dropFirst(start.count).prefix { $0 != "." }))
        let expected = try file.doubles(sampled)
        let entries = expected.indices.map { gradient[$0 * step] }
        #expect(relativeDistance(entries, expected) < tolerance, "\(prefix) \(name)")
      }
    }
  }

  // J weighs every output by its own distance from its target. Each of these was seen to fail: a sign turned, the leak
  // left out, and 1/√channels left out of the backward pass; a mean pool's gradient without its 1/4.
  @Test(
    "the gradient of every single parameter equals finite differences",
    arguments: [
      Architecture(
        width: 4, colors: 2, channels: 3, layers: 2, scales: 3, dense: (3, 5, 2), upper: (3, 4)),
      Architecture(width: 5, colors: 1, channels: 4, layers: 2, upper: (2, 3)),
      Architecture(width: 4, colors: 1, channels: 2, layers: 2, scales: 2, dense: (2, 3, 1), upper: (2, 3)),
      Architecture(width: 8, colors: 1, channels: 2, layers: 2, scales: 4, upper: (1, 2)),
    ])
  func finiteDifferences(_ architecture: Architecture) {
    let example = ReferenceCase(architecture, imageCount: 2)
    let analytic = example.model.gradient(example.draws)
    #expect(abs(analytic.objective - example.model.objective(example.draws)) < 1e-12 * abs(analytic.objective))
    let step = 1e-6
    for (name, values) in example.model.parameters {
      let differences = values.indices.map { index in
        var model = example.model
        model.parameters[name]?[index] = values[index] + step
        let above = model.objective(example.draws)
        model.parameters[name]?[index] = values[index] - step
        return (above - model.objective(example.draws)) / (2 * step)
      }
      let error = relativeDistance(differences, analytic.gradient[name] ?? [])
      #expect(error < 1e-6, "\(name): \(error)")
    }
  }
}

internal import CCairo

extension Picture {
  /// The whole picture in the middle of a black square, scaled by a bicubic filter; itself where it fits already.
  ///
  /// Size and place are whole numbers of pixels, so that the picture's edge stays sharp.
  public func fitted(toSquare side: Int) -> Picture {
    guard width != side || height != side else { return self }
    // Cairo's filter leaves details out where a picture becomes much smaller: blocks are averaged first.
    let block = max(width, height) / (3 * side)
    guard block < 2 else { return averaged(over: block).fitted(toSquare: side, of: (width, height), block: block) }
    return fitted(toSquare: side, of: (width, height), block: 1)
  }

  /// - Parameters:
  ///   - size: The picture's before blocks were averaged.
  ///   - block: Pixels of it that one of this picture stands for, in each direction.
  private func fitted(toSquare side: Int, of size: (width: Int, height: Int), block: Int) -> Picture {
    let scale = Double(side) / Double(max(size.width, size.height))
    let columns = max(1, Int((Double(size.width) * scale).rounded()))
    let rows = max(1, Int((Double(size.height) * scale).rounded()))
    var source = nativePixels()
    var pixels = [UInt8](repeating: 0, count: side * side * 4)
    pixels.withUnsafeMutableBufferPointer { target in
      source.withUnsafeMutableBufferPointer { source in
        let target = surface(target, width: side, height: side)
        let source = surface(source, width: width, height: height)
        let context = cairo_create(target)
        let (left, top) = (Double((side - columns) / 2), Double((side - rows) / 2))
        cairo_rectangle(context, left, top, Double(columns), Double(rows))
        cairo_clip(context)
        cairo_translate(context, left, top)
        cairo_scale(
          context, Double(columns * block) / Double(size.width), Double(rows * block) / Double(size.height))
        cairo_set_source_surface(context, source, 0, 0)
        cairo_pattern_set_filter(cairo_get_source(context), CAIRO_FILTER_BEST)
        // What lies beyond the picture's edge repeats it, or black would bleed in.
        cairo_pattern_set_extend(cairo_get_source(context), CAIRO_EXTEND_PAD)
        cairo_paint(context)
        cairo_destroy(context)
        cairo_surface_destroy(source)
        cairo_surface_destroy(target)
      }
    }
    var rgb = [UInt8](repeating: 0, count: 3 * side * side)
    for pixel in 0..<side * side {
      for channel in 0..<3 { rgb[3 * pixel + channel] = pixels[4 * pixel + 2 - channel] }
    }
    return Picture(width: side, height: side, rgb: rgb)
  }

  /// A picture of the means of `block` × `block` pixels; of those that are there, at the right and lower edge.
  private func averaged(over block: Int) -> Picture {
    let (columns, rows) = ((width + block - 1) / block, (height + block - 1) / block)
    var means = [UInt8](repeating: 0, count: 3 * columns * rows)
    rgb.withUnsafeBufferPointer { rgb in
      for row in 0..<rows {
        for column in 0..<columns {
          let (ys, xs) = (
            row * block..<min((row + 1) * block, height), column * block..<min((column + 1) * block, width)
          )
          var sums = SIMD4<Int>()
          for y in ys {
            for pixel in y * width + xs.lowerBound..<y * width + xs.upperBound {
              for channel in 0..<3 { sums[channel] += Int(rgb[3 * pixel + channel]) }
            }
          }
          let count = ys.count * xs.count
          for channel in 0..<3 {
            means[3 * (row * columns + column) + channel] = UInt8((sums[channel] + count / 2) / count)
          }
        }
      }
    }
    return Picture(width: columns, height: rows, rgb: means)
  }

  /// As Cairo's RGB24 has them, native integers: blue first on little-endian machines.
  private func nativePixels() -> [UInt8] {
    var native = [UInt8](repeating: 255, count: 4 * width * height)
    rgb.withUnsafeBufferPointer { rgb in
      native.withUnsafeMutableBufferPointer { native in
        for pixel in 0..<width * height {
          for channel in 0..<3 { native[4 * pixel + 2 - channel] = rgb[3 * pixel + channel] }
        }
      }
    }
    return native
  }

  private func surface(_ pixels: UnsafeMutableBufferPointer<UInt8>, width: Int, height: Int) -> OpaquePointer? {
    cairo_image_surface_create_for_data(
      pixels.baseAddress, CAIRO_FORMAT_RGB24, Int32(width), Int32(height), Int32(4 * width))
  }
}
